"""`python -m asrpro_worker` reads the bootstrap line from stdin and runs one worker."""

from asrpro_worker.app import main

main()
