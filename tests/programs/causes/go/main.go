// Panics and fatal errors of Go, and a fault in C code: the first word says which.
package main

/*
static int boom(int *p) { return *p; }
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

type order struct {
	lines []int
	next  *order
}

//go:noinline
func total(o *order, at int) int { return o.lines[at] }

//go:noinline
func following(o *order) int { return len(o.next.lines) }

//go:noinline
func refuse(words string) { panic(errors.New(words)) }

//go:noinline
func unlock() { var m sync.Mutex; m.Unlock() }

//go:noinline
func inC() int { return int(C.boom(nil)) }

func main() {
	o := &order{lines: []int{1, 2, 3}}
	switch os.Args[1] {
	case "index":
		fmt.Println(total(o, len(os.Args)+5))
	case "nil":
		fmt.Println(following(o))
	case "error":
		refuse("no customer")
	case "fatal":
		unlock()
	case "c":
		fmt.Println(inC())
	}
}
