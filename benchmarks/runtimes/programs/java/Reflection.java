class Reflection {
    public static int order(String name) {
        return Crash.now();
    }

    public static void main(String[] arguments) throws Exception {
        Reflection.class.getMethod("order", String.class).invoke(null, "x");
    }
}
