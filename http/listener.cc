// SPDX-License-Identifier: Apache-2.0
#include "http/listener.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace cvlan::http {
namespace {

constexpr int kBacklog = 4096;  // the kernel cuts it to net.core.somaxconn

void set_flag(int fd, int level, int option, int value) {
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

Result<sockaddr_un> unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return fail(Code::Invalid, "socket path '{}' is empty or too long", path);
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

UniqueFd unix_stream() {
    return UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// An old socket that nobody listens on may go. A file, or a living server, may not.
Result<void> clear_path(const std::string& path) {
    struct stat found {};
    if (lstat(path.c_str(), &found) != 0) {
        if (errno == ENOENT) return {};
        return failed(errno_error(path));
    }
    if (!S_ISSOCK(found.st_mode)) return fail(Code::Exists, "{} is there and is no socket", path);
    const auto address = unix_address(path);
    if (!address) return failed(address.error());
    const UniqueFd probe = unix_stream();
    const int result =
        connect(probe.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
    if (result != 0 && errno == ECONNREFUSED) return {};
    return fail(Code::Exists, "{}: another server answers there", path);
}

Result<void> set_access(const std::string& path, const UnixSocket& at) {
    if (at.group && lchown(path.c_str(), static_cast<uid_t>(-1), *at.group) != 0)
        return failed(errno_error(fmt::format("chown {}", path)));
    if (chmod(path.c_str(), at.mode) != 0)
        return failed(errno_error(fmt::format("chmod {}", path)));
    return {};
}

// Made beside its place and moved there, so that it is never open to more than it should be.
Result<void> bind_and_place(int fd, const UnixSocket& at) {
    const std::string fresh = at.path + "~";
    const auto address = unix_address(fresh);
    if (!address) return failed(address.error());
    (void)unlink(fresh.c_str());
    const mode_t previous = umask(0177);
    const int bound = bind(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
    const int bind_errno = errno;
    umask(previous);
    if (bound != 0) return failed(errno_error(fmt::format("bind {}", at.path), bind_errno));
    auto done = set_access(fresh, at);
    if (done && listen(fd, kBacklog) != 0) done = failed(errno_error("listen"));
    if (done && rename(fresh.c_str(), at.path.c_str()) != 0)
        done = failed(errno_error(fmt::format("rename to {}", at.path)));
    if (!done) (void)unlink(fresh.c_str());
    return done;
}

}  // namespace

Result<Listener> Listener::tcp(const Endpoint& at) {
    const std::string doing = fmt::format("listen on {}", at.text());
    Listener listener;
    listener.fd_.reset(socket(at.address.af(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int fd = listener.fd();
    if (fd < 0) return failed(errno_error(doing));
    set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (!at.address.is_v4()) set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    sockaddr_storage storage{};
    socklen_t size = at.to_sockaddr(storage);
    if (bind(fd, reinterpret_cast<const sockaddr*>(&storage), size) != 0 ||
        listen(fd, kBacklog) != 0)
        return failed(errno_error(doing));
    size = sizeof storage;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0)
        return failed(errno_error(doing));
    auto bound = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), size);
    if (!bound) return failed(bound.error());
    listener.at_ = *bound;
    return listener;
}

Result<Listener> Listener::unix_socket(const UnixSocket& at) {
    const std::string doing = fmt::format("listen on {}", at.path);
    if (auto clear = clear_path(at.path); !clear) return failed(clear.error().while_doing(doing));
    Listener listener;
    listener.fd_ = unix_stream();
    if (!listener.fd_) return failed(errno_error(doing));
    if (auto placed = bind_and_place(listener.fd(), at); !placed)
        return failed(placed.error().while_doing(doing));
    struct stat made {};
    if (lstat(at.path.c_str(), &made) != 0) return failed(errno_error(doing));
    listener.path_ = at.path;
    listener.device_ = made.st_dev;
    listener.inode_ = made.st_ino;
    return listener;
}

void Listener::close() {
    struct stat found {};
    const bool ours = fd_ && !path_.empty() && lstat(path_.c_str(), &found) == 0 &&
                      found.st_dev == device_ && found.st_ino == inode_;
    if (ours) (void)unlink(path_.c_str());
    fd_.reset();
}

Result<Endpoint> peer_of(int fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0)
        return failed(errno_error("getpeername"));
    auto peer = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), size);
    if (!peer || !peer->address.is_v4_mapped()) return peer;
    auto plain = Address::from_bytes(peer->address.bytes().subspan(12));
    if (!plain) return failed(plain.error());
    return Endpoint{*plain, peer->port};
}

Result<LocalPeer> local_peer_of(int fd) {
    ucred who{};
    socklen_t size = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
        return failed(errno_error("SO_PEERCRED"));
    return LocalPeer{who.uid, who.gid, who.pid};
}

}  // namespace cvlan::http
