import sys

from pgcourse.cli import main

sys.exit(main())
