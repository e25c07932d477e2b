"""`agent serve`: diagnoses over HTTP, for a team or for other programs.

::

    clients ──HTTP── server process        app, security, follow: light, answers at once
                          │ Queue          a database: jobs, their events, their results
                          │ Crew           starts and watches the processes below
                          ├── ray_host     holds one Ray for all
                          └── worker ×N    each makes one diagnosis at a time, by the controller

The server makes no diagnosis itself: it reads and writes the queue, and so do the workers. Who
works on a job holds its lease; what is left behind by a killed server is taken over from there.
"""
