class Inner {
    interface Shape {
        int side();

        default int area() {
            return side() * side();
        }
    }

    class Square implements Shape {
        public int side() {
            return new Object() {
                int measure() {
                    return Crash.now();
                }
            }.measure();
        }
    }

    public static void main(String[] arguments) {
        System.out.println(new Inner().new Square().area());
    }
}
