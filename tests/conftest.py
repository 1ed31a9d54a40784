"""What all tests have in common."""

import signal

# Who is started in the background is told to ignore Ctrl-C, and so would be whom the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
