// SPDX-License-Identifier: Apache-2.0
#include "http/connector.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "http/transport.h"

namespace cvlan::http {
namespace {

using namespace std::chrono_literals;
constexpr auto kStagger = 250ms;

Error unavailable(std::string_view doing, int sys_errno) {
    Error error = errno_error(doing, sys_errno);
    error.code = Code::Unavailable;
    return error;
}

// Segments that pass wherever IPv6 may pass, both ways, since the other side is told so. A hop may
// be narrower than both ends know, and say nothing of what it drops; Linux looks for what fits only
// where net.ipv4.tcp_mtu_probing is set. Costs a fifth more segments, and no more writes.
void fit_narrow_hops(int fd) {
    const int most = 1280 - 40 - 20;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &most, sizeof most);
}

}  // namespace

struct Connector::Attempt {
    UniqueFd fd;
    event* writable = nullptr;
    ~Attempt() {
        if (writable) event_free(writable);
    }
};

std::vector<Address> interleaved(const std::vector<Address>& addresses) {
    if (addresses.empty()) return {};
    std::vector<Address> first, second, mixed;
    for (const auto& address : addresses)
        (address.family() == addresses.front().family() ? first : second).push_back(address);
    for (size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
        if (i < first.size()) mixed.push_back(first[i]);
        if (i < second.size()) mixed.push_back(second[i]);
    }
    return mixed;
}

Connector::Connector(EventLoop& loop, ConnectTarget target, Done done)
    : loop_(loop), target_(std::move(target)), done_(std::move(done)) {
    next_ = loop_.after(0ms, [this] { start(); });
}

Connector::~Connector() = default;

void Connector::finish(Result<UniqueFd> result) {
    next_.cancel();
    attempts_.clear();
    const auto done = std::exchange(done_, nullptr);
    if (done) done(std::move(result));  // may destroy this
}

void Connector::start() {
    if (!target_.unix_path.empty()) return connect_unix();
    if (!target_.addresses.empty()) return resolved(target_.addresses);
    if (const auto address = Address::parse(target_.host))
        return resolved(std::vector<Address>{*address});
    resolve();
}

void Connector::connect_unix() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (target_.unix_path.size() >= sizeof address.sun_path)
        return finish(fail(Code::Invalid, "{}: path too long for a socket", target_.unix_path));
    std::memcpy(address.sun_path, target_.unix_path.data(), target_.unix_path.size());
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd || connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return finish(failed(unavailable(fmt::format("connect to {}", target_.unix_path), errno)));
    finish(std::move(fd));
}

void Connector::resolve() {
    lookup_ = std::make_unique<Lookup>(
        loop_, target_.host, AF_UNSPEC,
        [this](Result<std::vector<Address>> addresses) { resolved(std::move(addresses)); });
}

void Connector::resolved(Result<std::vector<Address>> addresses) {
    if (!addresses) return finish(failed(addresses.error()));
    const bool has_any = !addresses->empty();
    if (target_.may_connect)
        std::erase_if(*addresses, [this](const auto& it) { return !target_.may_connect(it); });
    if (has_any && addresses->empty())
        return finish(fail(Code::Denied, "{}: none of its addresses is allowed", target_.host));
    left_ = interleaved(*addresses);
    std::reverse(left_.begin(), left_.end());
    if (left_.empty()) return finish(fail(Code::Unavailable, "{} has no address", target_.host));
    try_next();
}

void Connector::try_next() {
    next_.cancel();
    while (!left_.empty()) {
        const Address address = left_.back();
        left_.pop_back();
        if (!try_one(address)) continue;
        if (!left_.empty()) next_ = loop_.after(kStagger, [this] { try_next(); });
        return;
    }
    if (attempts_.empty()) finish(failed(last_));
}

bool Connector::try_one(const Address& address) {
    const Endpoint endpoint{address, target_.port};
    const std::string doing = fmt::format("connect to {}", endpoint.text());
    auto attempt = std::make_unique<Attempt>();
    attempt->fd.reset(socket(address.af(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int fd = attempt->fd.get();
    last_ = unavailable(doing, errno);
    if (fd < 0) return false;
    // Who may not mark made no routes to stay off: an agent's --bootstrap needs no capability.
    if (target_.fwmark != 0 &&
        setsockopt(fd, SOL_SOCKET, SO_MARK, &target_.fwmark, sizeof target_.fwmark) != 0 &&
        errno != EPERM) {
        last_ = unavailable(fmt::format("{}: SO_MARK", doing), errno);
        return false;
    }
    tune_tcp(fd);
    fit_narrow_hops(fd);
    sockaddr_storage storage{};
    const socklen_t size = endpoint.to_sockaddr(storage);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&storage), size) != 0 &&
        errno != EINPROGRESS) {
        last_ = unavailable(doing, errno);
        return false;
    }
    attempt->writable = event_new(
        loop_.base(), fd, EV_WRITE,
        [](evutil_socket_t ready, short, void* self) {
            static_cast<Connector*>(self)->attempt_ended(ready);
        },
        this);
    event_add(attempt->writable, nullptr);
    attempts_.push_back(std::move(attempt));
    return true;
}

void Connector::attempt_ended(int fd) {
    const auto found = std::find_if(attempts_.begin(), attempts_.end(),
                                    [fd](const auto& one) { return one->fd.get() == fd; });
    auto attempt = std::move(*found);
    attempts_.erase(found);
    int failure = 0;
    socklen_t size = sizeof failure;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0) failure = errno;
    if (failure == 0) return finish(std::move(attempt->fd));
    last_ = unavailable(fmt::format("connect to {}:{}", target_.host, target_.port), failure);
    try_next();
}

}  // namespace cvlan::http
