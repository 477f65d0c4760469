// SPDX-License-Identifier: Apache-2.0
#include "netlink/socket.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <climits>

#include "tests/support/netlink_script.h"

namespace cvlan::netlink {
namespace {

using tests::ack;
using tests::done;
using tests::joined;
using tests::kernel_message;
using tests::kPort;
using tests::scripted;
using Answers = std::vector<tests::Script::Answer>;

constexpr uint16_t kType = 100;

Bytes part(uint32_t sequence, uint8_t value, uint16_t flags = 0) {
    return kernel_message(kType, static_cast<uint16_t>(NLM_F_MULTI | flags), sequence,
                          Bytes{value, 0, 0, 0});
}

// What a dump handed out in its last attempt, and how often it began.
struct Collected {
    std::vector<uint8_t> values;
    int starts = 0;
    Result<void> result;
};

Collected dump(Socket& socket) {
    Collected collected;
    Message message(kType, 0);
    collected.result = socket.dump(
        message,
        [&] {
            collected.values.clear();
            ++collected.starts;
        },
        [&](const Reply& reply) -> Result<void> {
            collected.values.push_back(reply.payload[0]);
            return {};
        });
    return collected;
}

TEST(Request, SucceedsOnAnAck) {
    auto socket = scripted([](ByteView, uint32_t seq) { return Answers{{ack(seq)}}; });
    Message message(kType, 0);
    EXPECT_TRUE(socket.request(message));
    EXPECT_TRUE(message.flags() & NLM_F_ACK);
}

TEST(Request, MapsErrnoToWhatTheCallerCanDo) {
    const std::pair<int, Code> cases[] = {
        {ENODEV, Code::NotFound},        {ENOENT, Code::NotFound},   {ESRCH, Code::NotFound},
        {EEXIST, Code::Exists},          {EPERM, Code::Denied},      {EACCES, Code::Denied},
        {EOPNOTSUPP, Code::Unsupported}, {EBUSY, Code::Unavailable}, {ENOMEM, Code::Unavailable},
        {EAGAIN, Code::Unavailable},     {EINVAL, Code::Invalid},
    };
    for (const auto& [sys_errno, code] : cases) {
        auto socket =
            scripted([e = sys_errno](ByteView, uint32_t seq) { return Answers{{ack(seq, e)}}; });
        Message message(kType, 0);
        const auto result = socket.request(message);
        ASSERT_FALSE(result);
        EXPECT_EQ(result.error().code, code) << sys_errno;
        EXPECT_EQ(result.error().sys_errno, sys_errno);
    }
}

TEST(Request, DropsAnswersOfOthersAndWaitsForItsOwn) {
    auto socket = scripted([](ByteView, uint32_t seq) {
        return Answers{{ack(seq, EPERM), 99},         // a process, not the kernel
                       {ack(seq - 1, EPERM)},         // late, to an earlier request
                       {ack(seq + 1, EPERM)},         // to none
                       {ack(seq, EPERM, kPort + 1)},  // to another port
                       {ack(seq)}};
    });
    Message message(kType, 0);
    EXPECT_TRUE(socket.request(message));
    EXPECT_EQ(socket.dropped(), 4u);
}

TEST(Request, ASilentKernelIsUnavailable) {
    auto socket = scripted([](ByteView, uint32_t) { return Answers{}; });
    Message message(kType, 0);
    const auto result = socket.request(message);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::Unavailable);
    EXPECT_EQ(result.error().sys_errno, ETIMEDOUT);
}

TEST(Request, GivesUpWhenOthersKeepTalking) {
    auto socket = scripted([](ByteView, uint32_t seq) {
        return Answers(1000, {ack(seq, EPERM), 99});
    });
    socket.set_time_limit(std::chrono::milliseconds(-1));
    Message message(kType, 0);
    EXPECT_EQ(socket.request(message).error().code, Code::Unavailable);
}

TEST(Request, BadLengthsAreMalformed) {
    for (const uint32_t length : {0u, 15u, 37u, 0xffffffffu}) {
        auto socket = scripted([length](ByteView, uint32_t seq) {
            Bytes bytes = ack(seq);
            std::memcpy(bytes.data(), &length, sizeof length);
            return Answers{{bytes}};
        });
        Message message(kType, 0);
        const auto result = socket.request(message);
        ASSERT_FALSE(result) << length;
        EXPECT_EQ(result.error().code, Code::Malformed) << length;
    }
}

TEST(Request, TrailingBytesAreMalformed) {
    auto socket = scripted([](ByteView, uint32_t) { return Answers{{Bytes(5)}}; });
    Message message(kType, 0);
    EXPECT_EQ(socket.request(message).error().code, Code::Malformed);
}

TEST(Request, AnAckWithoutAnErrnoIsMalformed) {
    auto socket = scripted(
        [](ByteView, uint32_t seq) { return Answers{{kernel_message(NLMSG_ERROR, 0, seq, {})}}; });
    Message message(kType, 0);
    EXPECT_EQ(socket.request(message).error().code, Code::Malformed);
}

TEST(Request, AnErrnoOutOfRangeIsMalformed) {
    for (const int32_t negative : {1, INT_MAX, INT_MIN, -4096}) {
        const Reply reply{NLMSG_ERROR, 0, {reinterpret_cast<const uint8_t*>(&negative), 4}};
        ASSERT_TRUE(ack_error(reply));
        EXPECT_EQ(ack_error(reply)->code, Code::Malformed);
    }
}

TEST(Request, AMessageThatDoesNotFitIsNeverSent) {
    int sent = 0;
    auto socket = scripted([&](ByteView, uint32_t seq) {
        ++sent;
        return Answers{{ack(seq)}};
    });
    Message message(kType, 0);
    message.put_bytes(1, Bytes(70000));
    EXPECT_EQ(socket.request(message).error().code, Code::TooLarge);
    EXPECT_EQ(sent, 0);
}

TEST(Request, HandsOutTheAnswerThatComesBeforeTheAck) {
    auto socket = scripted([](ByteView, uint32_t seq) {
        return Answers{{kernel_message(NLMSG_NOOP, 0, seq, {})},
                       {joined({part(seq, 7), ack(seq)})}};
    });
    Message message(kType, 0);
    uint8_t value = 0;
    EXPECT_TRUE(socket.request(message, [&](const Reply& reply) -> Result<void> {
        value = reply.payload[0];
        return {};
    }));
    EXPECT_EQ(value, 7);
}

TEST(Request, AnAnswerThatWasCutIsNoSuccessAndTheNextOneFits) {
    auto socket = scripted([](ByteView, uint32_t seq) {
        return Answers{{kernel_message(kType, 0, seq, Bytes(100'000, uint8_t{7}))}, {ack(seq)}};
    });
    Message message(kType, 0);
    size_t size = 0;
    const OnReply keep = [&](const Reply& reply) -> Result<void> {
        size = reply.payload.size();
        return {};
    };
    const auto cut = socket.request(message, keep);
    ASSERT_FALSE(cut);
    EXPECT_EQ(cut.error().code, Code::Unavailable);
    EXPECT_EQ(size, 0u);
    EXPECT_TRUE(socket.request(message, keep));
    EXPECT_EQ(size, 100'000u);
}

TEST(Request, TellsOfAnOverrun) {
    auto socket = scripted([](ByteView, uint32_t seq) {
        return Answers{{kernel_message(NLMSG_OVERRUN, 0, seq, {})}, {ack(seq)}};
    });
    Message message(kType, 0);
    EXPECT_EQ(socket.request(message).error().code, Code::Unavailable);
}

// An extended ack after the errno, as the kernel lays it out.
Bytes extended(uint16_t type, uint32_t seq, uint16_t flags, std::string_view text, size_t echoed) {
    Message attrs(0, 0);
    attrs.put_string(NLMSGERR_ATTR_MSG, text);
    const int32_t error = -EINVAL;
    Bytes payload(sizeof error);
    std::memcpy(payload.data(), &error, sizeof error);
    if (type == NLMSG_ERROR) {
        nlmsghdr request{static_cast<uint32_t>(NLMSG_HDRLEN + echoed), kType, 0, seq, kPort};
        payload.resize(payload.size() + sizeof request + ((flags & NLM_F_CAPPED) ? 0 : echoed));
        std::memcpy(payload.data() + 4, &request, sizeof request);
    }
    payload.insert(payload.end(), attrs.payload().begin(), attrs.payload().end());
    return kernel_message(type, static_cast<uint16_t>(flags | NLM_F_ACK_TLVS), seq, payload);
}

TEST(ExtendedAck, IsInTheErrorsText) {
    for (const uint16_t flags : {uint16_t{NLM_F_CAPPED}, uint16_t{0}}) {
        auto socket = scripted([flags](ByteView, uint32_t seq) {
            return Answers{{extended(NLMSG_ERROR, seq, flags, "Unknown device type", 8)}};
        });
        Message message(kType, 0);
        EXPECT_EQ(socket.request(message).error().message, "Invalid argument: Unknown device type");
    }
}

TEST(ExtendedAck, OfADumpIsReadTheSame) {
    auto socket = scripted([](ByteView, uint32_t seq) {
        return Answers{{extended(NLMSG_DONE, seq, 0, "FIB table does not exist", 0)}};
    });
    EXPECT_EQ(dump(socket).result.error().message, "Invalid argument: FIB table does not exist");
}

TEST(ExtendedAck, ControlCharactersDoNotReachTheText) {
    auto socket = scripted([](ByteView, uint32_t seq) {
        return Answers{{extended(NLMSG_ERROR, seq, NLM_F_CAPPED, "a\x1b[2Jb\n", 0)}};
    });
    Message message(kType, 0);
    EXPECT_EQ(socket.request(message).error().message, "Invalid argument: a?[2Jb?");
}

TEST(ExtendedAck, CutShortItIsLeftOut) {
    Bytes whole = extended(NLMSG_ERROR, 1, 0, "text", 4000);
    const ByteView payload = ByteView(whole).subspan(NLMSG_HDRLEN);
    for (size_t size = 4; size < payload.size(); ++size) {
        const Reply reply{NLMSG_ERROR, NLM_F_ACK_TLVS, payload.first(size)};
        EXPECT_EQ(ack_error(reply)->sys_errno, EINVAL);
    }
}

TEST(RequestAll, ResultsStandInTheOrderOfTheMessages) {
    uint32_t first = 0;
    auto socket = scripted([&](ByteView, uint32_t seq) {
        if (first == 0) first = seq;
        return Answers{{ack(seq, (seq - first) % 3 == 1 ? EEXIST : 0)}};
    });
    std::vector<Message> messages(200, Message(kType, 0));
    const auto results = socket.request_all(messages);
    ASSERT_EQ(results.size(), 200u);
    for (size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i].has_value(), i % 3 != 1) << i;
}

TEST(RequestAll, AcksMayComeInAnyOrder) {
    Answers held;
    auto socket = scripted([&](ByteView, uint32_t seq) {
        held.insert(held.begin(), {ack(seq, seq % 2 ? EPERM : 0)});
        return held.size() == 4 ? held : Answers{};
    });
    std::vector<Message> messages(4, Message(kType, 0));
    const auto results = socket.request_all(messages);
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(results[i].has_value(), i % 2 == 1) << i;
}

TEST(Dump, HandsOutAllPartsInOrder) {
    auto socket = scripted([](ByteView, uint32_t seq) {
        return Answers{{joined({part(seq, 1), part(seq, 2)})}, {part(seq, 3)}, {done(seq)}};
    });
    const auto got = dump(socket);
    EXPECT_TRUE(got.result);
    EXPECT_EQ(got.values, (std::vector<uint8_t>{1, 2, 3}));
}

TEST(Dump, BeginsAnewWhenItChangedUnderWay) {
    int attempt = 0;
    auto socket = scripted([&](ByteView, uint32_t seq) {
        if (++attempt == 1)
            return Answers{{part(seq, 1)}, {part(seq, 2, NLM_F_DUMP_INTR)}, {done(seq)}};
        if (attempt == 2) return Answers{{part(seq, 1)}, {done(seq, NLM_F_DUMP_INTR)}};
        return Answers{{part(seq, 5)}, {done(seq)}};
    });
    const auto got = dump(socket);
    EXPECT_TRUE(got.result);
    EXPECT_EQ(got.starts, 3);
    EXPECT_EQ(got.values, std::vector<uint8_t>{5});
}

TEST(Dump, GivesUpWhenItKeepsChanging) {
    auto socket =
        scripted([](ByteView, uint32_t seq) { return Answers{{done(seq, NLM_F_DUMP_INTR)}}; });
    const auto got = dump(socket);
    ASSERT_FALSE(got.result);
    EXPECT_EQ(got.result.error().code, Code::Unavailable);
    EXPECT_EQ(got.starts, 9);
}

TEST(Dump, GrowsItsBufferAndBeginsAnewWhenAMessageIsCut) {
    int attempt = 0;
    auto socket = scripted([&](ByteView, uint32_t seq) {
        ++attempt;
        return Answers{{part(seq, 1)},
                       {kernel_message(kType, NLM_F_MULTI, seq, Bytes(200'000, uint8_t{9}))},
                       {done(seq)}};
    });
    const auto got = dump(socket);
    EXPECT_TRUE(got.result);
    EXPECT_EQ(attempt, 2);
    EXPECT_EQ(got.values, (std::vector<uint8_t>{1, 9}));
}

TEST(Dump, GrowsItsBufferWhenTheEndWasCutOff) {
    int attempt = 0;
    auto socket = scripted([&](ByteView, uint32_t seq) {
        ++attempt;
        return Answers{{joined(
            {kernel_message(kType, NLM_F_MULTI, seq, Bytes(100'000, uint8_t{9})), done(seq)})}};
    });
    const auto got = dump(socket);
    EXPECT_TRUE(got.result);
    EXPECT_EQ(attempt, 2);
}

TEST(Dump, AnErrorOfTheReaderIsKeptAndTheRestDrained) {
    auto socket = scripted([](ByteView, uint32_t seq) {
        return Answers{{part(seq, 1)}, {part(seq, 2)}, {done(seq)}};
    });
    Message message(kType, 0);
    int calls = 0;
    const auto result = socket.dump(
        message, [] {},
        [&](const Reply&) -> Result<void> {
            ++calls;
            return fail(Code::Malformed, "no");
        });
    EXPECT_EQ(result.error().message, "no");
    EXPECT_EQ(calls, 1);
    EXPECT_TRUE(dump(socket).result);
    EXPECT_EQ(socket.dropped(), 0u);
}

TEST(Dump, FailsWithTheErrnoInItsEnd) {
    auto socket = scripted([](ByteView, uint32_t seq) { return Answers{{done(seq, 0, ENOENT)}}; });
    EXPECT_EQ(dump(socket).result.error().code, Code::NotFound);
    auto refused = scripted([](ByteView, uint32_t seq) { return Answers{{ack(seq, EPERM)}}; });
    EXPECT_EQ(dump(refused).result.error().code, Code::Denied);
    auto bare = scripted([](ByteView, uint32_t seq) {
        return Answers{{kernel_message(NLMSG_DONE, NLM_F_MULTI, seq, {})}};
    });
    EXPECT_TRUE(dump(bare).result);
}

// A batch of begin mark, two messages and end mark, and what became of it.
struct Batched {
    Result<void> result;
    size_t failing = 99;
};

Batched batch(Socket& socket) {
    std::vector<Message> messages(4, Message(kType, 0));
    Batched batched;
    batched.result = socket.request_batch(messages, batched.failing);
    return batched;
}

TEST(Batch, GoesOutAsOneDatagramAndAsksForOneAck) {
    std::vector<uint16_t> flags;
    auto socket = scripted([&](ByteView sent, uint32_t seq) {
        for (nlmsghdr head; !sent.empty(); sent = sent.subspan(head.nlmsg_len)) {
            std::memcpy(&head, sent.data(), sizeof head);
            EXPECT_EQ(head.nlmsg_seq, seq + flags.size());
            flags.push_back(head.nlmsg_flags);
        }
        return Answers{{ack(seq + 2)}};
    });
    EXPECT_TRUE(batch(socket).result);
    const std::vector<uint16_t> expected{NLM_F_REQUEST, NLM_F_REQUEST, NLM_F_REQUEST | NLM_F_ACK,
                                         NLM_F_REQUEST};
    EXPECT_EQ(flags, expected);
}

TEST(Batch, NamesTheFirstMessageThatWasRefused) {
    auto socket = scripted([](ByteView, uint32_t seq) {
        return Answers{{joined({ack(seq + 1, EEXIST), ack(seq + 2, EBUSY)})}};
    });
    const Batched refused = batch(socket);
    ASSERT_FALSE(refused.result);
    EXPECT_EQ(refused.result.error().code, Code::Exists);
    EXPECT_EQ(refused.failing, 1u);
}

TEST(Batch, AnErrorBeforeTheAckOfTheLastIsTheAnswerAndTheAckIsOfNobodyElse) {
    auto socket = scripted([](ByteView sent, uint32_t seq) {
        if (sent.size() == NLMSG_HDRLEN) return Answers{{ack(seq)}};
        return Answers{{ack(seq, EPERM)}, {ack(seq + 2)}};  // refused as a whole, at its begin mark
    });
    const Batched refused = batch(socket);
    ASSERT_FALSE(refused.result);
    EXPECT_EQ(refused.result.error().code, Code::Denied);
    EXPECT_EQ(refused.failing, 0u);
    Message next(kType, 0);
    EXPECT_TRUE(socket.request(next));
    EXPECT_EQ(socket.dropped(), 1u);
}

TEST(Batch, ASilentKernelAndAMessageThatDoesNotFitAreErrors) {
    auto silent = scripted([](ByteView, uint32_t) { return Answers{}; });
    EXPECT_EQ(batch(silent).result.error().code, Code::Unavailable);
    std::vector<Message> messages(3, Message(kType, 0));
    messages[1].put_bytes(1, Bytes(70000));
    size_t failing = 0;
    EXPECT_EQ(silent.request_batch(messages, failing).error().code, Code::TooLarge);
}

TEST(Batch, CountsAsOneWriteThatCanBeMadeToFail) {
    auto socket = scripted([](ByteView, uint32_t seq) { return Answers{{ack(seq + 2)}}; });
    Tally tally;
    tally.fail_nth = 2;
    tally.fail_errno = ENOMEM;
    socket.set_tally(&tally);
    EXPECT_TRUE(batch(socket).result);
    EXPECT_EQ(batch(socket).result.error().sys_errno, ENOMEM);
    EXPECT_EQ(tally.writes, 2u);
}

TEST(Tally, CountsReadsAndWritesApart) {
    Tally tally;
    auto socket = scripted([](ByteView, uint32_t seq) { return Answers{{joined({ack(seq)})}}; });
    socket.set_tally(&tally);
    Message message(kType, 0);
    EXPECT_TRUE(socket.request(message));
    EXPECT_TRUE(socket.request(message, [](const Reply&) -> Result<void> { return {}; }));
    std::vector<Message> messages(3, Message(kType, 0));
    socket.request_all(messages);
    EXPECT_EQ(tally.reads, 1u);
    EXPECT_EQ(tally.writes, 4u);
}

TEST(Tally, FailsTheNthRequestUnseenByTheKernel) {
    int sent = 0;
    auto socket = scripted([&](ByteView, uint32_t seq) {
        ++sent;
        return Answers{{ack(seq)}};
    });
    Tally tally;
    tally.fail_nth = 2;
    tally.fail_errno = ENOMEM;
    socket.set_tally(&tally);
    Message message(kType, 0);
    EXPECT_TRUE(socket.request(message));
    EXPECT_EQ(socket.request(message).error().sys_errno, ENOMEM);
    EXPECT_TRUE(socket.request(message));
    EXPECT_EQ(sent, 2);
}

TEST(Tally, FailsTheNthRequestAfterTheKernelHasDoneIt) {
    int sent = 0;
    auto socket = scripted([&](ByteView, uint32_t seq) {
        ++sent;
        return Answers{{ack(seq)}};
    });
    Tally tally;
    tally.fail_nth = 1;
    tally.fail_errno = EBUSY;
    tally.fail_after = true;
    socket.set_tally(&tally);
    Message message(kType, 0);
    EXPECT_EQ(socket.request(message).error().code, Code::Unavailable);
    EXPECT_EQ(sent, 1);
}

}  // namespace
}  // namespace cvlan::netlink
