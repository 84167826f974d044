// Package main has goroutines that wait in all the usual ways, and one that fails.
//
// With GOMAXPROCS=1 nothing else runs from the moment when it fails: what the runtime prints is what the core has.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

type order struct {
	name  string
	lines []int
}

func price(lines []int, at int) int {
	return lines[at]
}

func (o *order) total() int {
	sum := 0
	for at := 0; at <= len(o.lines); at++ {
		sum += price(o.lines, at)
	}
	return sum
}

func checkout(o *order, how string) {
	if how == "error" {
		panic(fmt.Errorf("no customer %q", o.name))
	}
	if how == "nil" {
		o = nil
	}
	fmt.Println(o.total())
}

func worker(orders chan *order) {
	for each := range orders {
		fmt.Println(each.total())
	}
}

func clock() {
	time.Sleep(time.Hour)
}

func clerk(till *sync.Mutex) {
	till.Lock()
	defer till.Unlock()
}

func porter(in, out chan int) {
	select {
	case <-in:
	case out <- 1:
	}
}

func listener() {
	from, _, _ := os.Pipe()
	from.Read(make([]byte, 1))
}

func main() {
	orders, till, closed := make(chan *order), new(sync.Mutex), make(chan int)
	till.Lock()
	for count := 0; count < 3; count++ {
		go worker(orders)
	}
	go clock()
	go clerk(till)
	go porter(make(chan int), make(chan int))
	go listener()
	for count := 0; count < 1000; count++ {
		runtime.Gosched()
	}
	go func() {
		checkout(&order{"x", []int{1, 2}}, os.Args[1])
		close(closed)
	}()
	<-closed
}
