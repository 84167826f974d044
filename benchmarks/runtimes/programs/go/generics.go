package main

type number interface{ ~int | ~float64 }

type list[T number] struct{ items []T }

func (l *list[T]) at(index int) T { return l.items[index] }

//go:noinline
func sum[T number](l *list[T], count int) T {
	var total T
	for index := 0; index < count; index++ {
		total += l.at(index)
	}
	return total
}

func main() {
	println(sum(&list[int]{[]int{1}}, 1))
	println(sum(&list[float64]{[]float64{1}}, 2))
}
