// SPDX-License-Identifier: Apache-2.0
#include "vici/socket.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace cvlan::vici {

Result<UniqueFd> connect_to(const SocketAt& at) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (at.path.empty() || at.path.size() >= sizeof address.sun_path)
        return fail(Code::Invalid, "{}: no path of a unix socket", at.path);
    std::memcpy(address.sun_path, at.path.data(), at.path.size());
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return failed(errno_error("unix socket"));
    // unix(7): it connects at once, or fails; EAGAIN says that too many wait for charon already.
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        Error error = errno_error(fmt::format("connect to charon at {}", at.path));
        if (error.sys_errno != EACCES && error.sys_errno != EPERM) error.code = Code::Unavailable;
        return failed(std::move(error));
    }
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return failed(errno_error("who listens for charon"));
    if (peer.uid != 0 && peer.uid != geteuid() && peer.uid != at.owner)
        return fail(Code::Denied, "{} is served by the user {}, who is not charon's", at.path,
                    peer.uid);
    return fd;
}

}  // namespace cvlan::vici
