//! Apps as people have them, unmodified: started from cold by the first request, put to sleep, and woken again.
