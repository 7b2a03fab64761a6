"""`python -m asrpro_worker`: wants the bootstrap line on stdin."""

from asrpro_worker.app import main

main()
