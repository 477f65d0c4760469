// SPDX-License-Identifier: Apache-2.0
#include "netlink/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <thread>

namespace cvlan::netlink {

namespace {

constexpr const char* kNamed = "/run/netns";
std::string path_of(std::string_view name) { return fmt::format("{}/{}", kNamed, name); }

// What is mounted in the folder is to be seen by everybody, in whichever mount namespace.
Result<void> make_folder() {
    // As ip makes it, whatever the umask is.
    const bool is_made = mkdir(kNamed, 0755) == 0;
    if (!is_made && errno != EEXIST) return failed(errno_error(kNamed));
    if (is_made && chmod(kNamed, 0755) != 0) return failed(errno_error(kNamed));
    for (bool is_mount = false; mount("", kNamed, "none", MS_SHARED | MS_REC, nullptr) != 0;
         is_mount = true)
        if (is_mount || errno != EINVAL ||
            mount(kNamed, kNamed, "none", MS_BIND | MS_REC, nullptr) != 0)
            return failed(errno_error(fmt::format("share {}", kNamed)));
    return {};
}

// By a thread that ends there: a namespace lives on by its file.
Result<void> mount_new(const std::string& path) {
    UniqueFd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0));
    if (!file) return failed(errno_error(path));
    Result<void> done;
    try {
        std::thread([&] {
            if (unshare(CLONE_NEWNET) != 0)
                done = failed(errno_error("make a network namespace"));
            else if (mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr) != 0)
                done = failed(errno_error(path));
        }).join();
    } catch (const std::system_error& error) {
        done = failed(errno_error("start a thread", error.code().value()));
    }
    if (!done) unlink(path.c_str());
    return done;
}

}  // namespace

Result<NetnsFd> NetnsFd::current() { return open("/proc/thread-self/ns/net"); }

Result<NetnsFd> NetnsFd::named(std::string_view name) { return open(path_of(name)); }

Result<NetnsFd> NetnsFd::of_process(pid_t pid) { return open(fmt::format("/proc/{}/ns/net", pid)); }

Result<NetnsFd> NetnsFd::open(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return failed(errno_error(fmt::format("network namespace {}", path)));
    return NetnsFd(std::move(fd));
}

Result<NetnsFd> NetnsFd::make(std::string_view name) {
    const std::string path = path_of(name);
    // A file without a namespace on it is left of one who was killed between the two.
    struct stat folder {};
    struct stat file {};
    const bool is_there = stat(path.c_str(), &file) == 0;
    if (is_there && stat(kNamed, &folder) == 0 && file.st_dev != folder.st_dev) return open(path);
    if (auto made = make_folder(); !made) return failed(made.error());
    if (is_there && unlink(path.c_str()) != 0) return failed(errno_error(path));
    if (auto made = mount_new(path); !made) return failed(made.error());
    return open(path);
}

Result<void> NetnsFd::remove(std::string_view name) {
    const std::string path = path_of(name);
    if (umount2(path.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT)
        return failed(errno_error(path));
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return failed(errno_error(path));
    return {};
}

Result<std::vector<std::string>> NetnsFd::names(std::string_view prefix) {
    std::vector<std::string> names;
    std::error_code error;
    for (auto entry = std::filesystem::directory_iterator(kNamed, error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
        if (auto name = entry->path().filename().string(); name.starts_with(prefix))
            names.push_back(std::move(name));
    if (error && error.value() != ENOENT)
        return failed(errno_error(fmt::format("read {}", kNamed), error.value()));
    return names;
}

Result<NetnsFd> NetnsFd::duplicate() const {
    UniqueFd fd(fcntl(this->fd(), F_DUPFD_CLOEXEC, 0));
    if (!fd) return failed(errno_error("network namespace"));
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
