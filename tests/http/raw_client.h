// SPDX-License-Identifier: Apache-2.0
#pragma once

// A client that sends exactly the bytes it is told to, over TCP or a unix socket, blocking. It
// gives up after ten seconds, so that a server which never answers fails a test instead of hanging
// it.

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cstring>
#include <string>
#include <string_view>

#include "base/ip.h"
#include "base/unique_fd.h"

namespace cvlan::http::test {

class RawClient {
public:
    explicit RawClient(const Endpoint& server)
        : fd_(socket(server.address.af(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_storage storage{};
        const socklen_t size = server.to_sockaddr(storage);
        connect_to(reinterpret_cast<const sockaddr*>(&storage), size);
    }
    explicit RawClient(const std::string& path)
        : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.data(), path.size());
        connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }

    bool is_connected() const { return connected_; }
    int fd() const { return fd_.get(); }

    // False when the server has closed.
    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<size_t>(sent));
        }
        return true;
    }
    void end() { shutdown(fd_.get(), SHUT_WR); }
    void close() { fd_.reset(); }

    // One message by its Content-Length; what follows stays for the next call. Empty at the end.
    std::string message(bool to_head = false) {
        size_t end = std::string::npos;
        while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
            if (!more()) return std::exchange(buffer_, {});
        const std::string_view head(buffer_.data(), end);
        const size_t at = head.find("Content-Length: ");
        const size_t body =
            at == std::string::npos || to_head ? 0 : std::stoul(buffer_.substr(at + 16));
        while (buffer_.size() < end + 4 + body)
            if (!more()) return std::exchange(buffer_, {});
        std::string whole = buffer_.substr(0, end + 4 + body);
        buffer_.erase(0, whole.size());
        return whole;
    }
    // Everything until the server closes.
    std::string rest() {
        while (more()) {
        }
        return std::exchange(buffer_, {});
    }
    bool is_closed() { return rest().empty() && ended_; }

private:
    void connect_to(const sockaddr* address, socklen_t size) {
        const timeval limit{10, 0};
        setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        connected_ = connect(fd_.get(), address, size) == 0;
    }
    bool more() {
        char bytes[16384];
        const ssize_t got = recv(fd_.get(), bytes, sizeof bytes, 0);
        ended_ = got == 0 || (got < 0 && errno == ECONNRESET);
        if (got <= 0) return false;
        buffer_.append(bytes, static_cast<size_t>(got));
        return true;
    }

    UniqueFd fd_;
    bool connected_ = false;
    bool ended_ = false;
    std::string buffer_;
};

// 0 if `message` is no answer.
inline int status_of(std::string_view message) {
    if (!message.starts_with("HTTP/1.1 ") || message.size() < 12) return 0;
    return std::stoi(std::string(message.substr(9, 3)));
}
inline std::string body_of(std::string_view message) {
    const size_t end = message.find("\r\n\r\n");
    return end == std::string_view::npos ? "" : std::string(message.substr(end + 4));
}

}  // namespace cvlan::http::test
