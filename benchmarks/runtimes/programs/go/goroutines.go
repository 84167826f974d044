package main

import (
	"sync"
	"time"
)

func worker(group *sync.WaitGroup, orders <-chan int) {
	defer group.Done()
	for order := range orders {
		if order == 7 {
			time.Sleep(10 * time.Millisecond)
			panic("order 7")
		}
	}
}

func main() {
	var group sync.WaitGroup
	orders := make(chan int)
	for count := 0; count < 4; count++ {
		group.Add(1)
		go worker(&group, orders)
	}
	for order := 0; order < 8; order++ {
		orders <- order
	}
	group.Wait()
}
