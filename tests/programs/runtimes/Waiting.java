// Waits in a method that is compiled into its callers, and says so; jstack then tells the stacks.
public class Waiting {
    static class Order {
        final int pause;

        Order(int pause) {
            this.pause = pause;
        }

        long price() throws Exception {
            return weigh() + 1;
        }

        private long weigh() throws Exception {
            Thread.sleep(pause);
            return pause;
        }
    }

    interface Pricing {
        long of(Order order) throws Exception;
    }

    static long total(Order[] orders, Pricing pricing) throws Exception {
        long sum = 0;
        for (Order order : orders) {
            sum += pricing.of(order);
        }
        return sum;
    }

    public static void main(String[] words) throws Exception {
        Order[] orders = new Order[40];
        java.util.Arrays.setAll(orders, index -> new Order(0));
        for (int round = 0; round < 2000; round++) {
            total(orders, order -> order.price());
        }
        orders[7] = new Order(1_000_000);
        System.out.println("waiting");
        total(orders, order -> order.price());
    }
}
