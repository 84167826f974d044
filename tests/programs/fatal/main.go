// Package main ends by an error that Go's runtime does not let a program recover from.
package main

import (
	"os"
	"sync"
)

func deep(depth int) int {
	var filled [100]int
	filled[depth%100] = depth
	return deep(depth+1) + filled[0]
}

//go:noinline
func rates(services map[int]int) int {
	sum := 0
	for {
		for _, rate := range services {
			sum += rate
		}
	}
}

//go:noinline
func run(how string) {
	switch how {
	case "unlock":
		new(sync.Mutex).Unlock()
	case "overflow":
		deep(0)
	case "deadlock":
		select {}
	case "maps":
		services := map[int]int{1: 1}
		go func() {
			for at := 0; ; at++ {
				services[at%1000] = at
			}
		}()
		rates(services)
	}
}

func main() {
	if os.Args[1] == "deadlock" {
		run(os.Args[1])
	}
	done := make(chan int)
	go func() {
		run(os.Args[1])
		close(done)
	}()
	<-done
}
