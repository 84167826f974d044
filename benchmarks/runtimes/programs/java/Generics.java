import java.util.Arrays;
import java.util.Comparator;

class Generics {
    static class Price<T extends Number> implements Comparable<Price<T>> {
        final T value;

        Price(T value) {
            this.value = value;
        }

        @Override
        public int compareTo(Price<T> other) {
            return value.intValue() == 3 ? Crash.now() : Integer.compare(value.intValue(), other.value.intValue());
        }
    }

    public static void main(String[] arguments) {
        Price<?>[] prices = {new Price<>(1), new Price<>(2.5), new Price<>(3)};
        Arrays.sort(prices);
    }
}
