// Orders HOW: reads through a null pointer in compiled or interpreted code, or fills the heap.
import java.lang.reflect.Field;
import java.util.ArrayList;
import sun.misc.Unsafe;

public class Orders {
    static Unsafe unsafe;
    static long total;

    static long read(long address) {
        return unsafe.getLong(address) + 1;
    }

    static long sum(long[] addresses, int count) {
        long sum = 0;
        for (int i = 0; i < count; i++) sum += read(addresses[i % addresses.length]);
        return sum;
    }

    static void outer(long good, boolean bad) {
        total += sum(new long[] {good, bad ? 0 : good}, 100);
    }

    public static void main(String[] words) throws Exception {
        Field field = Unsafe.class.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        unsafe = (Unsafe) field.get(null);
        if (words[0].equals("heap")) {
            ArrayList<long[]> orders = new ArrayList<>();
            for (;;) orders.add(new long[100_000]);
        }
        long good = unsafe.allocateMemory(64);
        for (int i = 0; i < (words[0].equals("compiled") ? 50_000 : 1); i++) outer(good, false);
        Thread.sleep(500);
        outer(good, true);
    }
}
