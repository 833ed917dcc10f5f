"""The lab: two Debian hosts and the shared parts an estate needs, as containers on one machine."""
