"""Keys of Compose that people look for and do not get: why, and what to do instead."""

from __future__ import annotations

from .vocabulary import Refusal

_HOST_NAMESPACE = "it would put the container into a namespace of the host (CIS 5.10, 5.16, 5.17, 5.21, 5.31)"

SERVICE_REFUSALS = {
    "build": Refusal("hosts run what was built and tested before", "push the image to the registry and name it"),
    "cgroup": Refusal(_HOST_NAMESPACE, "take it away"),
    "cgroup_parent": Refusal("limits are kept where the engine puts them (CIS 5.25)", "take it away"),
    "container_name": Refusal("names tell stack, service and release, and two releases run side by side",
                              "use the service's name, or an alias under networks"),
    "develop": Refusal("hosts run what was built and tested before", "push the image to the registry and name it"),
    "device_cgroup_rules": Refusal("devices are the host's (CIS 5.18)", "take it away"),
    "devices": Refusal("devices are the host's (CIS 5.18)", "run what needs one on a host of its own"),
    "env_file": Refusal("a file beside this one would not travel, and is where secrets get lost",
                        "write environment here, and name secrets under secrets"),
    "extends": Refusal("what a service is stands in one file", "use a YAML anchor and <<"),
    "external_links": Refusal("links are an old word of Docker", "share a network"),
    "gpus": Refusal("devices are the host's (CIS 5.18)", "run what needs one on a host of its own"),
    "group_add": Refusal("groups of the host would come along", "use user: <uid>:<gid>"),
    "ipc": Refusal(_HOST_NAMESPACE, "use shm_size for shared memory of its own"),
    "isolation": Refusal("it is a word of Windows", "take it away"),
    "links": Refusal("links are an old word of Docker", "share a network; services answer to their names"),
    "mac_address": Refusal("the engine chooses it, as it does for every release", "take it away"),
    "mem_swappiness": Refusal("there is no swap unless memswap_limit says so", "use memswap_limit"),
    "network_mode": Refusal(_HOST_NAMESPACE, "name networks, and publish the ports that are needed"),
    "oom_kill_disable": Refusal("a container without memory would hold its host up", "raise mem_limit"),
    "pid": Refusal(_HOST_NAMESPACE, "take it away"),
    "platform": Refusal("an image is its digest, which says the platform", "push the image for the host's platform"),
    "privileged": Refusal("it makes the container root of the host (CIS 5.5)", "cap_add what it needs"),
    "profiles": Refusal("what the file says is what runs", "give it a stack of its own"),
    "pull_policy": Refusal("images are pulled by digest, once", "take it away"),
    "runtime": Refusal("all containers of a host run alike", "take it away"),
    "scale": Refusal("a service is one container", "raise cpus and mem_limit"),
    "stdin_open": Refusal("nobody sits at a service's terminal", "take it away"),
    "storage_opt": Refusal("the engine's storage here has no such options", "use a volume"),
    "tty": Refusal("nobody sits at a service's terminal", "take it away"),
    "userns_mode": Refusal(_HOST_NAMESPACE, "take it away"),
    "uts": Refusal(_HOST_NAMESPACE, "use hostname"),
    "volumes_from": Refusal("whose data it is would not be seen", "name the same volume in both services"),
}  # fmt: skip

STACK_REFUSALS = {
    "include": Refusal("a stack is one file", "write it here, or make it a stack of its own"),
    "models": Refusal("a host has none", "give it a stack of its own"),
    "version": Refusal("Compose itself ignores it since its second version", "take it away"),
}
NETWORK_REFUSALS = {
    "attachable": Refusal("it is a word of Swarm", "take it away"),
    "driver_opts": Refusal("all bridges of a host are alike", "take it away"),
    "enable_ipv6": Refusal("addresses are the engine's matter", "take it away"),
    "ipam": Refusal("addresses are the engine's matter", "use names: services answer to theirs"),
    "labels": Refusal("a network carries our labels only", "take it away"),
}
VOLUME_REFUSALS = {
    "driver": Refusal("data stays on the host, where it is backed up", "take it away"),
    "driver_opts": Refusal("data stays on the host, where it is backed up", "take it away"),
    "external": Refusal("data without a stack would have no owner", "say name: <what the engine calls it>"),
    "labels": Refusal("a volume carries our labels only", "take it away"),
}
CONFIG_REFUSALS = {
    "external": Refusal("there is no store of configs", "write content: |"),
    "environment": Refusal("nothing is taken from the operator's shell", "write content: ${NAME}"),
    "file": Refusal("a file beside this one would not travel", "write content: |"),
    "name": Refusal("it is named after its content", "take it away"),
}
SECRET_REFUSALS = {
    "external": Refusal("secrets come from the environment's store", "write environment: <its own name>"),
    "file": Refusal("a secret is never a file of the checkout", "write environment: <its own name>"),
    "name": Refusal("a secret is named once, in capitals", "take it away"),
}
FILE_REFUSALS = {
    owner: Refusal("files are placed read-only and readable for everyone in the container", "take it away")
    for owner in ("uid", "gid")
}
ATTACHMENT_REFUSALS = {
    key: Refusal("addresses are the engine's matter", "use aliases")
    for key in ("ipv4_address", "ipv6_address", "link_local_ips", "mac_address", "priority", "gw_priority")
}
MOUNT_REFUSALS = {
    "consistency": Refusal("it has no meaning on Linux", "take it away"),
}
BIND_REFUSALS = {
    "selinux": Refusal("our hosts do not use SELinux", "take it away"),
}
DEPENDENCY_REFUSALS = {
    "restart": Refusal("what depends on a container that is made anew reconnects by itself", "take it away"),
}
