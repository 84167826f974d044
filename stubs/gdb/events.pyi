from collections.abc import Callable

class EventRegistry:
    def connect(self, handler: Callable[..., object]) -> None: ...
    def disconnect(self, handler: Callable[..., object]) -> None: ...

before_prompt: EventRegistry
corefile_changed: EventRegistry
