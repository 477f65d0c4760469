// SPDX-License-Identifier: Apache-2.0
#pragma once

// Listening sockets: TCP and unix, non-blocking, CLOEXEC. A unix socket appears at its path with
// its final mode and group at once, and is removed with its Listener if it is still ours.

#include <sys/types.h>

#include <string>

#include "base/ip.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "http/server.h"

namespace cvlan::http {

class Listener {
public:
    Listener() = default;
    Listener(Listener&&) noexcept = default;
    Listener& operator=(Listener&&) noexcept = default;
    ~Listener() { close(); }

    static Result<Listener> tcp(const Endpoint& at);
    static Result<Listener> unix_socket(const UnixSocket& at);

    int fd() const { return fd_.get(); }
    const Endpoint& at() const { return at_; }
    void close();

private:
    UniqueFd fd_;
    Endpoint at_;
    std::string path_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

// The other end of an accepted socket. An IPv4 client of a [::] listener is shown as IPv4.
Result<Endpoint> peer_of(int fd);
Result<LocalPeer> local_peer_of(int fd);

}  // namespace cvlan::http
