import java.util.concurrent.Executors;

class Threads {
    static final Object LOCK = new Object();

    static int work(int order) {
        synchronized (LOCK) {
            return order == 3 ? Crash.now() : order;
        }
    }

    public static void main(String[] arguments) throws Exception {
        var pool = Executors.newFixedThreadPool(2);
        for (int order = 1; order < 5; order++) {
            int number = order;
            pool.submit(() -> work(number));
        }
    }
}
