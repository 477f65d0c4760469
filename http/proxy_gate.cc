// SPDX-License-Identifier: Apache-2.0
#include "http/proxy_gate.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

namespace cvlan::http {

ProxyGate::ProxyGate(EventLoop& loop, UniqueFd fd, std::chrono::milliseconds limit, Done done)
    : fd_(std::move(fd)), done_(std::move(done)) {
    readable_ = loop.on_readable(fd_.get(), [this] { read_on(); });
    deadline_ =
        loop.after(limit, [this] { end(fail(Code::Unavailable, "no PROXY header in time")); });
}

void ProxyGate::read_on() {
    std::array<char, kMostProxyHeader> ahead{};
    const ssize_t got = recv(fd_.get(), ahead.data(), ahead.size() - header_.size(), MSG_PEEK);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return end(fail(Code::Unavailable, "closed before its PROXY header"));
    const size_t taken = header_.size();
    header_.append(ahead.data(), static_cast<size_t>(got));
    const auto read = read_proxy_header(as_bytes(header_));
    if (!read) return end(fail(Code::Denied, "{}", read.error().message));
    // Until the header is whole, all that came is part of it.
    const size_t size = *read ? (*read)->size : header_.size();
    if (recv(fd_.get(), ahead.data(), size - taken, 0) != static_cast<ssize_t>(size - taken))
        return end(fail(Code::Unavailable, "closed within its PROXY header"));
    if (*read) end(Passed{std::move(fd_), (*read)->client});
}

void ProxyGate::end(Result<Passed> outcome) {
    readable_.cancel();
    deadline_.cancel();
    const auto done = std::exchange(done_, nullptr);
    done(std::move(outcome));  // may destroy this
}

}  // namespace cvlan::http
