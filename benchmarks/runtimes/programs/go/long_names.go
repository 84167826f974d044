package main

type theAbstractSingletonProxyFactoryBeanOfThePurchaseOrderProcessingDepartment struct{}

func (theAbstractSingletonProxyFactoryBeanOfThePurchaseOrderProcessingDepartment) createTheInstanceThatProcessesPurchaseOrdersOfTheDepartmentAndÜmläute(of map[string]int) {
	of["x"] = 1
}

func main() {
	var factory theAbstractSingletonProxyFactoryBeanOfThePurchaseOrderProcessingDepartment
	factory.createTheInstanceThatProcessesPurchaseOrdersOfTheDepartmentAndÜmläute(nil)
}
