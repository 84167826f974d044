import faulthandler, os

faulthandler.enable()


def the_abstract_singleton_proxy_factory_bean_of_the_purchase_order_processing_department():
    def größe_über_alles():
        exec(compile("def inside():\n    os.abort()\n\n\ninside()\n", "made at run time.py", "exec"), {"os": os})

    größe_über_alles()


the_abstract_singleton_proxy_factory_bean_of_the_purchase_order_processing_department()
