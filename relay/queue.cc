// SPDX-License-Identifier: Apache-2.0
#include "relay/queue.h"

#include <algorithm>
#include <utility>

namespace cvlan::relay {

namespace {

size_t frame_size(std::span<const uint8_t> frames) {
    return kFrameHead + (size_t{frames[1]} << 24 | size_t{frames[2]} << 16 |
                         size_t{frames[3]} << 8 | size_t{frames[4]});
}

}  // namespace

Block BlockPool::take(size_t frame) {
    if (out_ >= limit_) return {};
    ++out_;
    const size_t size = std::max(kBlock, kHeadroom + frame);
    Block block;
    if (size == kBlock && !free_.empty()) {
        block = std::move(free_.back());
        free_.pop_back();
    } else {
        // Not zeroed: every byte that leaves was written before.
        block.memory = std::make_unique_for_overwrite<uint8_t[]>(size);
        block.size = static_cast<uint32_t>(size);
    }
    block.begin = block.end = kHeadroom;
    return block;
}

void BlockPool::give_back(Block block) {
    --out_;
    if (block.size == kBlock && free_.size() < kKept) free_.push_back(std::move(block));
}

std::span<uint8_t> FrameQueue::add(size_t frame) {
    if (frame > limit_) return {};
    while (bytes_ + frame > limit_) drop_oldest();
    if (count_ == 0 || at(count_ - 1).size - at(count_ - 1).end < frame)
        if (!push(pool_.take(frame))) return {};
    Block& last = at(count_ - 1);
    const std::span<uint8_t> room(last.memory.get() + last.end, frame);
    last.end += static_cast<uint32_t>(frame);
    bytes_ += frame;
    return room;
}

bool FrameQueue::push(Block block) {
    if (!block.memory) return false;
    if (count_ == blocks_.size()) {
        std::rotate(blocks_.begin(), blocks_.begin() + static_cast<ptrdiff_t>(first_),
                    blocks_.end());
        first_ = 0;
        blocks_.resize(std::max<size_t>(1, 2 * count_));
    }
    ++count_;
    at(count_ - 1) = std::move(block);
    return true;
}

void FrameQueue::drop_oldest() {
    Block& oldest = at(0);
    const size_t size = frame_size(oldest.frames());
    oldest.begin += static_cast<uint32_t>(size);
    bytes_ -= size;
    ++dropped_;
    if (oldest.begin == oldest.end) pop_front();
}

void FrameQueue::pop_front() {
    Block& oldest = at(0);
    bytes_ -= oldest.frames().size();
    pool_.give_back(std::move(oldest));
    first_ = (first_ + 1) % blocks_.size();
    --count_;
}

void FrameQueue::clear() {
    while (count_ > 0) pop_front();
}

}  // namespace cvlan::relay
