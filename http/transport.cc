// SPDX-License-Identifier: Apache-2.0
#include "http/transport.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <cerrno>

namespace cvlan::http {

void tune_tcp(int fd) {
    const int on = 1;
    const int unsent = 128 * 1024;
    // None can fail on a TCP socket, and each failing would cost only speed.
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, &on, sizeof on);
}

// Without BEV_OPT_CLOSE_ON_FREE: libevent frees a bufferevent some time after bufferevent_free(),
// and the socket must be closed, or go on, now.
Transport::Transport(EventLoop& loop, UniqueFd fd, SslPtr ssl, Side side)
    : fd_(std::move(fd)), ssl_(std::move(ssl)) {
    ERR_clear_error();
    if (ssl_) {
        const auto state =
            side == Side::Accepting ? BUFFEREVENT_SSL_ACCEPTING : BUFFEREVENT_SSL_CONNECTING;
        bev_ = bufferevent_openssl_socket_new(loop.base(), fd_.get(), ssl_.get(), state,
                                              BEV_OPT_DEFER_CALLBACKS);
        // Every message has its own length, so that a missing close_notify truncates nothing.
        if (bev_) bufferevent_openssl_set_allow_dirty_shutdown(bev_, 1);
    } else {
        bev_ = bufferevent_socket_new(loop.base(), fd_.get(), BEV_OPT_DEFER_CALLBACKS);
    }
    if (!bev_) return;
    bufferevent_setcb(bev_, read_cb, write_cb, event_cb, this);
    bufferevent_enable(bev_, EV_WRITE);
}

Transport::~Transport() { release(); }

void Transport::release() {
    if (bev_) {
        // Callbacks that are deferred keep it alive past this call, but not its events: those would
        // find a closed socket and a freed SSL.
        bufferevent_setcb(bev_, nullptr, nullptr, nullptr, nullptr);
        bufferevent_disable(bev_, EV_READ | EV_WRITE);
        bufferevent_free(bev_);
        bev_ = nullptr;
    }
    ERR_clear_error();
}

evbuffer* Transport::input() const { return bufferevent_get_input(bev_); }
evbuffer* Transport::output() const { return bufferevent_get_output(bev_); }

// No high watermark: with one, bytes which OpenSSL has decrypted already could wait in there for a
// socket event that never comes. Switched off between callbacks, nothing is left in OpenSSL.
void Transport::read_more(bool wanted) {
    if (wanted)
        bufferevent_enable(bev_, EV_READ);
    else
        bufferevent_disable(bev_, EV_READ);
}

void Transport::low_water(size_t bytes) { bufferevent_setwatermark(bev_, EV_WRITE, bytes, 0); }

void Transport::write_on() {
    bufferevent_disable(bev_, EV_READ);
    bufferevent_enable(bev_, EV_WRITE);
}

UniqueFd Transport::half_close() {
    // SSL_shutdown() before the handshake is over is an error of the program.
    if (ssl_ && SSL_is_init_finished(ssl_.get())) (void)SSL_shutdown(ssl_.get());
    release();
    ssl_.reset();
    (void)shutdown(fd_.get(), SHUT_WR);
    return std::move(fd_);
}

std::pair<UniqueFd, SslPtr> Transport::give_away() {
    release();
    return {std::move(fd_), std::move(ssl_)};
}

void Transport::read_cb(bufferevent*, void* self) {
    auto* events = static_cast<Transport*>(self)->events_;
    if (events) events->on_readable();
}

void Transport::write_cb(bufferevent*, void* self) {
    auto* events = static_cast<Transport*>(self)->events_;
    if (events) events->on_written();
}

void Transport::event_cb(bufferevent* bev, short what, void* self) {
    auto& transport = *static_cast<Transport*>(self);
    const int sys_errno = evutil_socket_geterror(transport.fd());
    auto* events = transport.events_;
    if (!events) return;
    if (what & BEV_EVENT_CONNECTED) {
        events->on_connected();
        return;
    }
    Error why{Code::Unavailable, "connection closed"};
    if (transport.ssl_) {
        const unsigned long code = bufferevent_get_openssl_error(bev);
        if (code != 0 || (what & BEV_EVENT_ERROR)) why = handshake_error(transport.ssl(), code);
    } else if ((what & BEV_EVENT_ERROR) && sys_errno != 0) {
        why = errno_error("connection", sys_errno);
        why.code = Code::Unavailable;
    }
    ERR_clear_error();
    events->on_closed((what & BEV_EVENT_EOF) != 0, std::move(why));
}

}  // namespace cvlan::http
