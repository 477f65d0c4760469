// SPDX-License-Identifier: Apache-2.0
#include "netlink/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include <system_error>
#include <thread>

namespace cvlan::netlink {

Result<NetnsFd> NetnsFd::current() { return open("/proc/thread-self/ns/net"); }

Result<NetnsFd> NetnsFd::named(std::string_view name) {
    return open(fmt::format("/run/netns/{}", name));
}

Result<NetnsFd> NetnsFd::of_process(pid_t pid) { return open(fmt::format("/proc/{}/ns/net", pid)); }

Result<NetnsFd> NetnsFd::open(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return failed(errno_error(fmt::format("network namespace {}", path)));
    return NetnsFd(std::move(fd));
}

bool NetnsFd::is_same(const NetnsFd& other) const {
    struct stat mine {};
    struct stat theirs {};
    if (fstat(fd(), &mine) != 0 || fstat(other.fd(), &theirs) != 0) return false;
    return mine.st_dev == theirs.st_dev && mine.st_ino == theirs.st_ino;
}

Result<void> NetnsFd::run(const std::function<Result<void>()>& run) const {
    const auto here = current();
    if (here && is_same(*here)) return run();

    Result<void> done;
    try {
        std::thread([&] {
            if (setns(fd(), CLONE_NEWNET) != 0) {
                done = failed(errno_error("enter network namespace"));
                return;
            }
            done = run();
        }).join();
    } catch (const std::system_error& error) {  // std::thread has no other way to say it
        return failed(errno_error("start a thread", error.code().value()));
    }
    return done;
}

}  // namespace cvlan::netlink
