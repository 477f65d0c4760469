// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a relay can cost at least: a forwarder of the same frames on OpenSSL and epoll alone, with
// nothing that a relay needs besides. It is greeted by a key of 32 bytes, checks nothing but
// certificates, has no limits and forgets nothing; of a batch of events each receiver gets one
// write.

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "http/tls_context.h"
#include "http/transport.h"
#include "relay/directory.h"

namespace cvlan::bench {

class PlainForwarder {
public:
    explicit PlainForwarder(const http::TlsServerOptions& tls, int listener)
        : context_(http::server_context(tls).value()), listener_(listener) {
        SSL_CTX_set_read_ahead(context_.get(), 1);
        watch(listener_, &listener_);
    }

    // Until `asked` is closed; calls `answer` whenever it can be read.
    void run(int asked, const std::function<bool()>& answer) {
        watch(asked, &epoll_);
        while (true) {
            epoll_event ready[256];
            const int count = epoll_wait(epoll_.get(), ready, 256, -1);
            for (int i = 0; i < count; ++i) {
                void* what = ready[i].data.ptr;
                if (what == &epoll_) {
                    if (!answer()) return;
                } else if (what == &listener_) {
                    take_one();
                } else {
                    read(*static_cast<Client*>(what));
                }
            }
            for (Client* client : due_) write(*client);
            due_.clear();
        }
    }
    uint64_t packets() const { return packets_; }

private:
    struct Client {
        UniqueFd fd;
        http::SslPtr ssl;
        Bytes rest;
        Bytes out;
        relay::Key key;
        bool is_known = false;
    };

    void watch(int fd, void* what) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = what;
        epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
    }
    void take_one() {
        auto client = std::make_unique<Client>();
        client->fd.reset(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
        http::tune_tcp(client->fd.get());
        client->ssl.reset(SSL_new(context_.get()));
        SSL_set_fd(client->ssl.get(), client->fd.get());
        if (SSL_accept(client->ssl.get()) != 1) return ERR_clear_error();
        fcntl(client->fd.get(), F_SETFL, O_NONBLOCK);
        watch(client->fd.get(), client.get());
        clients_.push_back(std::move(client));
        read(*clients_.back());  // what came with the end of the handshake
    }
    void read(Client& client) {
        size_t got = 0;
        while (SSL_read_ex(client.ssl.get(), plain_.data(), plain_.size(), &got) == 1) {
            ByteView bytes = ByteView(plain_).first(got);
            if (!client.is_known) bytes = greet(client, bytes);
            if (!client.rest.empty()) {
                client.rest.insert(client.rest.end(), bytes.begin(), bytes.end());
                bytes = client.rest;
            }
            bytes = forward(client, bytes);
            client.rest = Bytes(bytes.begin(), bytes.end());
        }
        if (SSL_get_error(client.ssl.get(), 0) == SSL_ERROR_WANT_READ) return;
        ERR_clear_error();
        epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, client.fd.get(), nullptr);
    }
    ByteView greet(Client& client, ByteView bytes) {
        std::copy_n(bytes.begin(), wg::kKeySize, client.key.writable().begin());
        client.is_known = true;
        by_key_[client.key] = &client;
        SSL_write(client.ssl.get(), "k", 1);  // from now on it can be sent to
        return bytes.subspan(wg::kKeySize);
    }
    ByteView forward(Client& from, ByteView bytes) {
        while (bytes.size() >= relay::kFrameHead) {
            const size_t size =
                relay::kFrameHead + (size_t{bytes[2]} << 16 | size_t{bytes[3]} << 8 | bytes[4]);
            if (bytes.size() < size) break;
            relay::Key key;
            std::copy_n(bytes.begin() + relay::kFrameHead, wg::kKeySize, key.writable().begin());
            Client* to = by_key_.at(key);
            if (to->out.empty()) due_.push_back(to);
            to->out.insert(to->out.end(), bytes.begin(), bytes.begin() + relay::kFrameHead);
            const auto& own = from.key.bytes();
            to->out.insert(to->out.end(), own.begin(), own.end());
            to->out.insert(to->out.end(), bytes.begin() + relay::kFrameHead + wg::kKeySize,
                           bytes.begin() + static_cast<ptrdiff_t>(size));
            bytes = bytes.subspan(size);
            ++packets_;
        }
        return bytes;
    }
    static void write(Client& client) {
        size_t sent = 0;
        while (sent < client.out.size()) {
            size_t put = 0;
            if (SSL_write_ex(client.ssl.get(), &client.out[sent], client.out.size() - sent, &put) !=
                1)
                break;
            sent += put;
        }
        client.out.clear();
    }

    http::SslCtxPtr context_;
    int listener_;
    UniqueFd epoll_{epoll_create1(EPOLL_CLOEXEC)};
    std::vector<std::unique_ptr<Client>> clients_;
    std::unordered_map<relay::Key, Client*, relay::KeyHash> by_key_;
    std::vector<Client*> due_;
    Bytes plain_ = Bytes(16 * 1024);
    uint64_t packets_ = 0;
};

}  // namespace cvlan::bench
