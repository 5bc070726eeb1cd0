"""python -m tinsmith"""

from .cli import main

main()
