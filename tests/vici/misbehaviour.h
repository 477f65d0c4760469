// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a charon that is broken or hostile can do on its socket (T21, F90), a row each, and what its
// client has to make of it.

#include "tests/vici/fake_charon.h"
#include "vici/session.h"

namespace cvlan::vici::test {

using namespace std::string_view_literals;

struct Misbehaviour {
    const char* name;
    std::function<void(Peer&)> act;
    Code code = Code::Malformed;
    bool is_slow = false;  // what ends it is the time limit
};

inline constexpr std::string_view kOne = "\x01";  // CMD_RESPONSE, before a message

// Answers the first request with this.
inline std::function<void(Peer&)> answers(Bytes bytes) {
    return [bytes = std::move(bytes)](Peer& peer) {
        (void)peer.next();
        (void)peer.send(bytes);
    };
}
inline std::function<void(Peer&)> answers_and_hangs_up(Bytes bytes) {
    return [bytes = std::move(bytes)](Peer& peer) {
        (void)peer.next();
        (void)peer.send(bytes);
        peer.hang_up();
    };
}
// Answers with a message of these bytes.
inline std::function<void(Peer&)> says(std::string_view message) {
    return answers(segment(std::string(kOne) + std::string(message)));
}

// To a plain command.
inline std::vector<Misbehaviour> to_a_command() {
    const Bytes good = packet(PacketType::CommandResponse, {}, version_answer());
    const Bytes event = packet(PacketType::Event, "list-sa", sa_entry("a", "1"));
    const Bytes head = {0, 0, 0, 100};
    std::string deep = std::string(kOne);
    for (int i = 0; i < 17; ++i) deep += "\x01\x01s";
    const auto never = [](Peer& peer) { (void)peer.next(); };
    const auto drip = [good](Peer& peer) {
        (void)peer.next();
        for (const uint8_t byte : good) {
            if (!peer.hears_nothing_for(std::chrono::milliseconds(40))) return;
            if (!peer.send(ByteView(&byte, 1))) return;
        }
    };
    return {
        {"hangs up at once", [](Peer& peer) { peer.hang_up(); }, Code::Unavailable},
        {"hangs up on the request", answers_and_hangs_up({}), Code::Unavailable},
        {"never answers", never, Code::Unavailable, true},
        {"sends a byte and no more", answers({0}), Code::Unavailable, true},
        {"hangs up within a length", answers_and_hangs_up({0, 0}), Code::Unavailable},
        {"hangs up within a segment", answers_and_hangs_up(head + Bytes(99)), Code::Unavailable},
        {"announces what never comes", answers({0, 8, 0, 0, 1}), Code::Unavailable, true},
        {"is slower than the limit, byte by byte", drip, Code::Unavailable, true},
        {"an empty segment", answers({0, 0, 0, 0})},
        {"a segment of 512 KiB and a byte", answers({0, 8, 0, 1})},
        {"a segment of 4 GiB", answers({0xff, 0xff, 0xff, 0xff})},
        {"does not know the command", answers(packet(PacketType::CommandUnknown)),
         Code::Unsupported},
        {"an unknown command with a message", answers(segment("\x02x"))},
        {"a confirmation", answers(packet(PacketType::EventConfirm))},
        {"an unknown event", answers(packet(PacketType::EventUnknown))},
        {"a command", answers(packet(PacketType::CommandRequest, "version"))},
        {"a registration", answers(packet(PacketType::EventRegister, "log"))},
        {"the end of a registration", answers(packet(PacketType::EventUnregister, "log"))},
        {"an event before any registration", answers(event)},
        {"an event before the response", answers(event + good)},
        {"a packet of type 8", answers(segment("\x08"))},
        {"a packet of type 255", answers(segment("\xff"))},
        {"an event without a name", answers(segment("\x07"))},
        {"an event with an empty name", answers(segment("\x07\0"sv))},
        {"an event with a cut name", answers(segment("\x07\xffshort"))},
        {"two responses", answers(good + good)},
        {"a response and the half of another", answers(good + Bytes{0, 0, 0})},
        {"a response and an empty segment", answers(good + Bytes{0, 0, 0, 0})},
        {"a section that ends and never began", says("\x02")},
        {"a section that never ends", says("\x01\x01s")},
        {"a section that ends twice", says("\x01\x01s\x02\x02")},
        {"a list in a list", says("\x04\x01l\x04\x01m\x06\x06")},
        {"a section in a list", says("\x04\x01l\x01\x01s\x02\x06")},
        {"a value in a list", says("\x04\x01l\x03\x01k\0\0\x06"sv)},
        {"a list that never ends", says("\x04\x01l\x05\0\x01x"sv)},
        {"a list that ends and never began", says("\x06")},
        {"an item without a list", says("\x05\0\x01x"sv)},
        {"an empty name", says("\x03\0\0\x01x"sv)},
        {"a cut name", says("\x03\xffshort")},
        {"a cut value", says("\x03\x01k\xff\xffshort")},
        {"the half of a value's length", says("\x03\x01k\0"sv)},
        {"a cut item", says("\x04\x01l\x05\0\x09x\x06"sv)},
        {"an element of type 0", says("\0"sv)},
        {"an element of type 7", says("\x07")},
        {"a key twice", says("\x03\x01k\0\0\x03\x01k\0\0"sv)},
        {"a section twice", says("\x01\x01s\x02\x01\x01s\x02")},
        {"17 sections within each other", answers(segment(deep + std::string(17, '\x02')))},
        {"bytes behind a message", says("\x03\x01k\0\0x"sv)},
    };
}

// After confirming the registration, to the command itself.
inline std::function<void(Peer&)> confirms_and(Bytes bytes, bool hangs_up = false) {
    return [bytes = std::move(bytes), hangs_up](Peer& peer) {
        (void)peer.next();
        (void)peer.send(packet(PacketType::EventConfirm));
        (void)peer.next();
        (void)peer.send(bytes);
        if (hangs_up) peer.hang_up();
    };
}

// To a command whose answer is streamed.
inline std::vector<Misbehaviour> to_a_list() {
    const Bytes event = packet(PacketType::Event, "list-sa", sa_entry("a", "1"));
    const Bytes foreign = packet(PacketType::Event, "list-conn", sa_entry("a", "1"));
    const Bytes confirm = packet(PacketType::EventConfirm);
    const Bytes response = packet(PacketType::CommandResponse);
    const auto endless = [event, confirm](Peer& peer) {
        (void)peer.next();
        (void)peer.send(confirm);
        (void)peer.next();
        while (peer.send(event)) {
        }
    };
    const auto keeps = [event, response, confirm](Peer& peer) {
        confirms_and(event + response)(peer);
        (void)peer.next();  // the end of the registration, which is never confirmed
    };
    const auto forgets = [event, response](Peer& peer) {
        confirms_and(event + response)(peer);
        answers(packet(PacketType::CommandResponse))(peer);
    };
    return {
        {"does not know the event", answers(packet(PacketType::EventUnknown)), Code::Unsupported},
        {"never confirms", [](Peer& peer) { (void)peer.next(); }, Code::Unavailable, true},
        {"a response for a confirmation", answers(response)},
        {"confirms twice", answers(confirm + confirm)},
        {"an event before its confirmation", answers(event)},
        {"does not know the command", confirms_and(packet(PacketType::CommandUnknown)),
         Code::Unsupported},
        {"an event of another name", confirms_and(foreign)},
        {"a confirmation for a response", confirms_and(event + confirm)},
        {"an event that is cut", confirms_and(segment("\x07\x07list-sa\x01\x01s"))},
        {"an event, and then too long a segment", confirms_and(event + Bytes{0, 8, 0, 1})},
        {"an event, and hangs up", confirms_and(event, true), Code::Unavailable},
        {"an event, and then silence", confirms_and(event), Code::Unavailable, true},
        {"events without end", endless, Code::Unavailable, true},
        {"an event after the response", confirms_and(response + event)},
        {"hangs up after the response", confirms_and(event + response, true), Code::Unavailable},
        {"does not confirm the end", keeps, Code::Unavailable, true},
        {"a response for the end's confirmation", forgets},
    };
}

}  // namespace cvlan::vici::test
