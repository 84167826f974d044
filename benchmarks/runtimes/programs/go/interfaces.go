package main

import "fmt"

type shape interface{ area() int }

type base struct{ sides []int }

func (b base) area() int { return b.sides[0] * b.sides[1] }

type square struct{ base }

type named struct {
	shape
	name string
}

func (n *named) String() string { return fmt.Sprint(n.name, n.shape.area()) }

func main() {
	fmt.Println(&named{square{base{[]int{2, 2}}}, "a"})
	var shown fmt.Stringer = &named{square{base{[]int{2}}}, "b"}
	println(shown.String())
}
