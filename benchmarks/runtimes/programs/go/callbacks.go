package main

// typedef int (*compare)(const void *, const void *);
// int less(void *, void *);
// #include <stdlib.h>
// static void order(int *values, int count) { qsort(values, count, sizeof *values, (compare)less); }
import "C"
import "unsafe"

//export less
func less(left, right unsafe.Pointer) C.int {
	return check(*(*C.int)(left), *(*C.int)(right))
}

func check(left, right C.int) C.int {
	if left == right {
		panic("equal")
	}
	return left - right
}

func main() {
	values := []C.int{3, 1, 3, 2}
	C.order(&values[0], C.int(len(values)))
}
