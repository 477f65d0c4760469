// SPDX-License-Identifier: Apache-2.0
#include "relay/stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace cvlan::relay {

namespace {

// A BIO whose ends are the loop's Wire. It belongs to OpenSSL's way of being told "not now":
// reading past what was received is a retry, writing always goes.
int read_wire(BIO* bio, char* to, size_t size, size_t* got) {
    auto& wire = *static_cast<Wire*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    *got = std::min(size, wire.unread.size());
    if (*got == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    std::memcpy(to, wire.unread.data(), *got);
    wire.unread = wire.unread.subspan(*got);
    return 1;
}

int write_wire(BIO* bio, const char* from, size_t size, size_t* put) {
    auto& wire = *static_cast<Wire*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const auto* bytes = reinterpret_cast<const uint8_t*>(from);
    wire.sealed.insert(wire.sealed.end(), bytes, bytes + size);
    *put = size;
    return 1;
}

long control_wire(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

const BIO_METHOD* wire_method() {
    static const BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "cvlan wire");
        BIO_meth_set_read_ex(made, read_wire);
        BIO_meth_set_write_ex(made, write_wire);
        BIO_meth_set_ctrl(made, control_wire);
        return made;
    }();
    return method;
}

}  // namespace

Stream::Stream(Wire& wire, http::Upgraded upgraded)
    : wire_(wire),
      fd_(std::move(upgraded.fd)),
      ssl_(std::move(upgraded.ssl)),
      ahead_(std::move(upgraded.ahead)) {
    BIO* bio = BIO_new(wire_method());
    if (!bio) {
        fail();
        return;
    }
    BIO_set_data(bio, &wire_);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
}

void Stream::receive() {
    ERR_clear_error();  // SSL_get_error() would find what somebody else has left
    wire_.unread = {};
    const ssize_t got = recv(fd_.get(), wire_.received.data(), wire_.received.size(), MSG_DONTWAIT);
    if (got > 0) {
        wire_.unread = ByteView(wire_.received).first(static_cast<size_t>(got));
    } else if (got == 0) {
        state_ = StreamState::Ended;
    } else if (errno != EAGAIN && errno != EINTR) {
        fail();
    }
}

// The next record's content; empty where there is no whole one.
std::span<uint8_t> Stream::open_record() {
    if (!ahead_.empty()) {
        const size_t size = std::min(ahead_.size(), wire_.plain.size());
        std::copy_n(ahead_.begin(), size, wire_.plain.begin());
        ahead_.erase(ahead_.begin(), ahead_.begin() + static_cast<ptrdiff_t>(size));
        return std::span(wire_.plain).first(size);
    }
    // OpenSSL's way of saying that there is nothing costs as much as a small record.
    if (wire_.unread.empty() && SSL_has_pending(ssl_.get()) == 0) return {};
    size_t got = 0;
    if (SSL_read_ex(ssl_.get(), wire_.plain.data(), wire_.plain.size(), &got) == 1) {
        // Whoever is handed this may write to other streams: nothing of ours may lie in their way.
        if (!wire_.sealed.empty()) flush();
        return std::span(wire_.plain).first(got);
    }
    const int why = SSL_get_error(ssl_.get(), 0);
    if (why == SSL_ERROR_ZERO_RETURN)
        state_ = StreamState::Ended;
    else if (why != SSL_ERROR_WANT_READ)
        fail();
    ERR_clear_error();
    return {};
}

// What OpenSSL had to say meanwhile (an alert, a key update) goes at once.
void Stream::finish_reading() {
    wire_.unread = {};
    if (!wire_.sealed.empty()) flush();
}

void Stream::write(ByteView plain) {
    // A record a call (SSL_MODE_ENABLE_PARTIAL_WRITE).
    while (state_ == StreamState::Open && !plain.empty()) {
        size_t put = 0;
        if (SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &put) == 1) {
            plain = plain.subspan(put);
            continue;
        }
        ERR_clear_error();
        fail();
    }
}

bool Stream::flush() {
    Bytes& sealed = wire_.sealed;
    size_t sent = 0;
    while (unsent_.empty() && sent < sealed.size()) {
        const ssize_t put =
            send(fd_.get(), &sealed[sent], sealed.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) {
            if (errno != EAGAIN) fail();
            break;
        }
        sent += static_cast<size_t>(put);
    }
    if (state_ != StreamState::Failed)
        unsent_.insert(unsent_.end(), sealed.begin() + static_cast<ptrdiff_t>(sent), sealed.end());
    sealed.clear();
    return unsent_.empty();
}

bool Stream::go_on() {
    Bytes waiting = std::exchange(unsent_, {});
    wire_.sealed.swap(waiting);
    const bool is_done = flush();
    // The shared buffer keeps its own memory, and not that of whoever was slow.
    wire_.sealed.swap(waiting);
    wire_.sealed.clear();
    return is_done;
}

void Stream::keep_buffers(bool on) {
    if (on)
        SSL_clear_mode(ssl_.get(), SSL_MODE_RELEASE_BUFFERS);
    else
        SSL_set_mode(ssl_.get(), SSL_MODE_RELEASE_BUFFERS);  // they go with the next record
}

void Stream::say_goodbye() {
    if (state_ != StreamState::Open || is_blocked()) return;
    (void)SSL_shutdown(ssl_.get());
    ERR_clear_error();
    flush();
}

}  // namespace cvlan::relay
