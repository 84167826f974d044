class LongNames {
    static class TheAbstractSingletonProxyFactoryBeanOfThePurchaseOrderProcessingDepartment {
        int createTheInstanceThatProcessesPurchaseOrdersOfTheDepartmentAndÜmläute(java.util.Map<String, int[][]> of) {
            return Crash.now();
        }
    }

    public static void main(String[] arguments) {
        var factory = new TheAbstractSingletonProxyFactoryBeanOfThePurchaseOrderProcessingDepartment();
        factory.createTheInstanceThatProcessesPurchaseOrdersOfTheDepartmentAndÜmläute(null);
    }
}
