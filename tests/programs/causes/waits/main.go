// Fatal errors of Go that no thread's own stack shows: the first word says which. Built without cgo.
package main

import (
	"fmt"
	"os"
	"sync"
)

//go:noinline
func receive(orders chan int) int { return <-orders }

//go:noinline
func lock(books *sync.Mutex) {
	books.Lock()
	books.Lock()
}

//go:noinline
func total(depth int) int { return total(depth+1) + 1 }

func main() {
	switch os.Args[1] {
	case "channel":
		fmt.Println(receive(make(chan int)))
	case "mutex":
		lock(&sync.Mutex{})
	case "overflow":
		fmt.Println(total(0))
	}
}
