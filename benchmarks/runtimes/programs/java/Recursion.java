class Recursion {
    static int countdown(int left) {
        if (left == 0) {
            return Crash.now();
        }
        return countdown(left - 1) + 1;
    }

    public static void main(String[] arguments) {
        System.out.println(countdown(12));
    }
}
