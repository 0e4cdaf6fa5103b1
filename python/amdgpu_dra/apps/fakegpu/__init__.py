"""The program that writes fake GPU trees: `fakegpu render --fleet NAME --out FOLDER`."""

__all__: list[str] = []
