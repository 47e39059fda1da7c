"""What the dashboards of a model and of a daemon select by their variables."""

MODEL = 'model="$model"'
VERSION = f'{MODEL}, version=~"$version"'
GROUP = f'{VERSION}, segment=~"$segment"'
MONITOR = f'{GROUP}, feature=~"$feature"'
EVERY_SEGMENT = f'{VERSION}, segment!="all"'
RATE = "[$__rate_interval]"
DAEMON = 'instance="$instance"'
OF_DAEMON = f'{DAEMON}, model=~"$model"'
UNJUDGED = 'state=~"error|stale|no_reference|insufficient_data"'
