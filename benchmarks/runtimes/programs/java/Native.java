import java.security.AccessController;
import java.security.PrivilegedAction;

class Native {
    static int allowed() {
        return AccessController.doPrivileged((PrivilegedAction<Integer>) Crash::now);
    }

    static class Begun {
        static final int VALUE = allowed();
    }

    public static void main(String[] arguments) {
        System.out.println(Begun.VALUE);
    }
}
