"""A web page on this machine: record or upload speech, say what the body should do, watch and download the motion.

`server.serve` runs it; `page` lays it out, `desk` answers its visitors, `studio` makes the motion and `visits` keeps
what they brought and got until they leave. Needs the extra `demo`.
"""
