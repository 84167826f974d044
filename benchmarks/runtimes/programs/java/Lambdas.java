import java.util.List;
import java.util.function.IntUnaryOperator;

class Lambdas {
    static IntUnaryOperator till(int limit) {
        return amount -> amount > limit ? Crash.now() : amount;
    }

    public static void main(String[] arguments) {
        IntUnaryOperator till = till(2);
        List.of(1, 2, 3).forEach(amount -> till.andThen(each -> each + 1).applyAsInt(amount));
    }
}
