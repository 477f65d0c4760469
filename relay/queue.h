// SPDX-License-Identifier: Apache-2.0
#pragma once

// What waits to be sent to one client: frames in blocks of a TLS record's size, so that those which
// wait together leave in one record. Bounded by dropping the oldest: of UDP's packets the newest
// are worth most. The blocks belong to a pool that all queues of a loop share; an empty queue has
// none.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "relay/frame.h"
#include "relay/websocket.h"

namespace cvlan::relay {

// Of a block's memory the frames begin behind this much, where a WebSocket's head has room.
inline constexpr size_t kHeadroom = 16;
static_assert(kHeadroom >= kMostWebSocketHead);
inline constexpr size_t kBlock = 16 * 1024;  // with its headroom: a record

struct Block {
    std::unique_ptr<uint8_t[]> memory;
    uint32_t size = 0;   // of the memory
    uint32_t begin = 0;  // of the frames
    uint32_t end = 0;
    std::span<uint8_t> frames() const { return {memory.get() + begin, end - begin}; }
};

class BlockPool {
public:
    // `limit` is how many may be out at once.
    explicit BlockPool(size_t limit) : limit_(limit) {}

    // With room for one frame of `frame` bytes at least; no memory where the limit is reached.
    Block take(size_t frame);
    void give_back(Block block);
    size_t out() const { return out_; }

private:
    static constexpr size_t kKept = 64;  // free ones: 1 MiB
    size_t limit_;
    size_t out_ = 0;
    std::vector<Block> free_;
};

class FrameQueue {
public:
    FrameQueue(BlockPool& pool, size_t limit) : pool_(pool), limit_(limit) {}
    FrameQueue(const FrameQueue&) = delete;
    FrameQueue& operator=(const FrameQueue&) = delete;
    ~FrameQueue() { clear(); }

    // Room for one whole frame behind the others, which the caller writes at once; the oldest give
    // way. Empty: the pool has no more, or the frame alone is above the limit.
    std::span<uint8_t> add(size_t frame);

    bool empty() const { return count_ == 0; }
    size_t bytes() const { return bytes_; }
    uint64_t dropped() const { return dropped_; }

    // The oldest block, whole frames; kHeadroom bytes before it are free to be written.
    std::span<uint8_t> front() { return at(0).frames(); }
    void pop_front();
    void clear();

private:
    Block& at(size_t index) { return blocks_[(first_ + index) % blocks_.size()]; }
    void drop_oldest();
    bool push(Block block);

    BlockPool& pool_;
    size_t limit_;
    size_t bytes_ = 0;
    uint64_t dropped_ = 0;
    std::vector<Block> blocks_;  // a ring
    size_t first_ = 0;
    size_t count_ = 0;
};

}  // namespace cvlan::relay
