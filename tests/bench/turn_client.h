// SPDX-License-Identifier: Apache-2.0
#pragma once

// As much of TURN (RFC 8656) as a bench of coturn needs: an allocation and a channel to one IPv4
// peer, without credentials.

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/ip.h"

namespace cvlan::bench {

constexpr uint16_t kChannel = 0x4000;

inline void put_u16(Bytes& to, unsigned value) {
    to.push_back(static_cast<uint8_t>(value >> 8));
    to.push_back(static_cast<uint8_t>(value));
}

inline Bytes turn_request(uint16_t type, const Bytes& attributes) {
    Bytes message;
    put_u16(message, type);
    put_u16(message, static_cast<unsigned>(attributes.size()));
    put_u16(message, 0x2112);
    put_u16(message, 0xA442);
    const Bytes transaction = random_bytes(12);
    message.insert(message.end(), transaction.begin(), transaction.end());
    message.insert(message.end(), attributes.begin(), attributes.end());
    return message;
}

// Whether the server answers with success; a server that is only starting is asked again.
inline bool turn_ask(int fd, const Bytes& request) {
    for (int tries = 0; tries < 50; ++tries) {
        (void)send(fd, request.data(), request.size(), 0);
        pollfd ready{fd, POLLIN, 0};
        uint8_t answer[1500];
        if (poll(&ready, 1, 100) != 1) continue;
        const ssize_t size = recv(fd, answer, sizeof answer, 0);  // refused while it starts
        if (size < 20 || !std::equal(request.begin() + 8, request.begin() + 20, answer + 8)) {
            (void)poll(nullptr, 0, 100);
            continue;
        }
        return answer[0] == (request[0] | 1) && answer[1] == request[1];
    }
    return false;
}

// `fd` is connected to the server.
inline bool open_channel(int fd, const Endpoint& peer) {
    Bytes transport;
    put_u16(transport, 0x0019);  // REQUESTED-TRANSPORT
    put_u16(transport, 4);
    transport.insert(transport.end(), {17, 0, 0, 0});
    if (!turn_ask(fd, turn_request(0x0003, transport))) return false;

    Bytes channel;
    put_u16(channel, 0x000C);  // CHANNEL-NUMBER
    put_u16(channel, 4);
    put_u16(channel, kChannel);
    put_u16(channel, 0);
    put_u16(channel, 0x0012);  // XOR-PEER-ADDRESS
    put_u16(channel, 8);
    put_u16(channel, 1);
    put_u16(channel, peer.port ^ 0x2112u);
    constexpr uint8_t kCookie[] = {0x21, 0x12, 0xA4, 0x42};
    for (size_t i = 0; i < 4; ++i)
        channel.push_back(static_cast<uint8_t>(peer.address.bytes()[i] ^ kCookie[i]));
    return turn_ask(fd, turn_request(0x0009, channel));
}

inline Bytes channel_data(const Bytes& payload) {
    Bytes message;
    put_u16(message, kChannel);
    put_u16(message, static_cast<unsigned>(payload.size()));
    message.insert(message.end(), payload.begin(), payload.end());
    return message;
}

}  // namespace cvlan::bench
