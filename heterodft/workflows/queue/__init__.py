"""The job queue: the only place that knows FireWorks."""
