// SPDX-License-Identifier: Apache-2.0
#pragma once

// A charon of paper: it serves one connection after another on a thread of its own, the first as a
// test says, the others as they should be.

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "base/unique_fd.h"
#include "tests/support/temp_dir.h"
#include "vici/frame.h"

namespace cvlan::vici::test {

inline Bytes plain(const WipedBytes& bytes) { return {bytes.begin(), bytes.end()}; }

// A segment with this body, whatever that is.
inline Bytes segment(std::string_view body) {
    Bytes out;
    for (int shift = 24; shift >= 0; shift -= 8)
        out.push_back(static_cast<uint8_t>(body.size() >> shift));
    out.insert(out.end(), body.begin(), body.end());
    return out;
}

inline Bytes packet(PacketType type, std::string_view name = {}, const Message& message = {}) {
    return plain(encode_packet(type, name, message).value());
}

inline Bytes operator+(Bytes one, const Bytes& other) {
    one.insert(one.end(), other.begin(), other.end());
    return one;
}

// charon's end of a connection.
class Peer {
public:
    explicit Peer(UniqueFd fd) : fd_(std::move(fd)) {}

    struct Request {
        PacketType type{};
        std::string name{};
        Message message{};
    };
    // Nothing when the client has hung up.
    std::optional<Request> next() {
        for (;;) {
            ByteView frame;
            if (reader_.next(frame)) {
                const Packet packet = parse_packet(frame).value();
                return Request{packet.type, std::string(packet.name),
                               Message::parse(packet.message).value()};
            }
            const ssize_t got = recv(fd_.get(), buffer_, sizeof buffer_, 0);
            if (got <= 0) return std::nullopt;
            reader_.feed(ByteView(buffer_, static_cast<size_t>(got)));
        }
    }
    // False when the client has hung up.
    bool send(ByteView bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes = bytes.subspan(static_cast<size_t>(sent));
        }
        return true;
    }
    bool send(const Bytes& bytes) { return send(ByteView(bytes)); }
    bool hears_nothing_for(std::chrono::milliseconds span) {
        pollfd ready{fd_.get(), POLLIN, 0};
        return poll(&ready, 1, static_cast<int>(span.count())) == 0;
    }
    void hang_up() { shutdown(fd_.get(), SHUT_RDWR); }
    int fd() const { return fd_.get(); }

private:
    UniqueFd fd_;
    FrameReader reader_;
    uint8_t buffer_[16384];
};

inline Message version_answer() {
    Message message;
    message.put("daemon", "charon-systemd").put("version", "5.9.8");
    return message;
}

// An entry of list-sas, as short as it may be.
inline Message sa_entry(const std::string& name, const std::string& id) {
    Message inside, message;
    inside.put("uniqueid", id).put("version", "2").put("state", "ESTABLISHED");
    message.put_section(name, std::move(inside));
    return message;
}

// As charon should be, until the client hangs up.
inline void serve_well(Peer& peer) {
    while (const auto request = peer.next()) {
        Bytes answer = packet(PacketType::CommandUnknown);
        if (request->type != PacketType::CommandRequest)
            answer = packet(PacketType::EventConfirm);
        else if (request->name == "version")
            answer = packet(PacketType::CommandResponse, {}, version_answer());
        else if (request->name == "list-sas")
            answer = packet(PacketType::Event, "list-sa", sa_entry("a", "1")) +
                     packet(PacketType::Event, "list-sa", sa_entry("b", "2")) +
                     packet(PacketType::CommandResponse);
        if (!peer.send(answer)) return;
    }
}

class FakeCharon {
public:
    using Act = std::function<void(Peer&)>;

    explicit FakeCharon(Act first = {}) : first_(std::move(first)), listener_(listen_at(path())) {
        thread_ = std::thread([this] { run(); });
    }
    ~FakeCharon() {
        ended_ = true;
        shutdown(listener_.get(), SHUT_RDWR);
        if (const int now = serving_.exchange(-1); now >= 0) shutdown(now, SHUT_RDWR);
        thread_.join();
    }
    FakeCharon(const FakeCharon&) = delete;
    FakeCharon& operator=(const FakeCharon&) = delete;

    std::string path() const { return folder_.file("charon.vici"); }

    static UniqueFd listen_at(const std::string& path, int backlog = 16) {
        UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.data(), path.size());
        if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
            listen(fd.get(), backlog) != 0)
            std::abort();
        return fd;
    }

private:
    void run() {
        for (bool is_first = true; !ended_; is_first = false) {
            UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!fd) return;
            serving_ = fd.get();
            if (ended_) return;
            Peer peer(std::move(fd));
            if (is_first && first_) first_(peer);
            serve_well(peer);
            serving_ = -1;
        }
    }

    cvlan::test::TempDir folder_;
    Act first_;
    UniqueFd listener_;
    std::atomic<bool> ended_ = false;
    std::atomic<int> serving_ = -1;
    std::thread thread_;
};

}  // namespace cvlan::vici::test
