/*
 * SCSI disks that copy: EXTENDED COPY (LID1), one command for up to SEGMENTS ranges.
 *
 * Commands go to the disk's bsg node by SG_IO. Unlike /dev/sg*, whose SG_IO ends at a signal and leaves the command to
 * go on by itself (sg_ioctl() in drivers/scsi/sg.c), it returns when the command is over and not before
 * (blk_execute_rq() in block/blk-mq.c): what the array writes, it has then written. And unlike the disk's own node it
 * can be closed without a loss of the locks that the program may have on the disk.
 *
 * The command is sent to the destination's disk, which is the one that it changes.
 */
#include "device.h"

#include "../../core/syscalls.h"
#include "able.h"
#include "answers.h"
#include "nodes.h"
#include "ranges.h"
#include "scsi_parameters.h"
#include "unable.h"

#include <errno.h>
#include <linux/bsg.h>
#include <scsi/sg.h>
#include <string.h>

/* Ranges of one command at most, of which the parameter list lies on the stack: 2 KB. */
#define SEGMENTS 64

/* Bytes of one command at most: what holds up whoever waits for its end. */
#define LONGEST_COMMAND ((uint64_t)256 << 20)

/* Blocks of one segment (SPC-4 6.4.6.4: two bytes). */
#define SEGMENT_BLOCKS 65535

/* A disk that is asked what it is, and one that copies LONGEST_COMMAND at 4 MB/s. */
#define ASKING_MS 10000
#define COPYING_MS 60000

/* Each event that a disk has to tell fails one command; more than so many are not waited for. */
#define ATTENTIONS 8

/* ---- a command ---- */

struct command {
    uint8_t cdb[16];
    uint8_t cdb_bytes;
    bool sends; /* data go to the disk */
    void *data;
    size_t n;
    unsigned timeout_ms;
    struct scsi_sense sense; /* set when it fails with -EREMOTEIO */
};

enum { STATUS_GOOD = 0x00, STATUS_CHECK = 0x02 }; /* SAM-5 5.3 */
enum { HOST_NO_CONNECT = 0x01, HOST_TIME_OUT = 0x03 };

/* What came of it: 0, -EREMOTEIO if the disk has told why not, or another negative errno. */
static int outcome(const struct sg_io_v4 *io, const uint8_t *sense, struct command *command)
{
    size_t n = io->response_len < io->max_response_len ? io->response_len : io->max_response_len;
    if (io->transport_status == HOST_TIME_OUT)
        return -ETIMEDOUT;
    if (io->transport_status == HOST_NO_CONNECT)
        return -ENODEV;
    if (io->device_status == STATUS_CHECK && scsi_parse_sense(sense, n, &command->sense))
        return command->sense.key == SCSI_RECOVERED ? 0 : -EREMOTEIO;
    if (io->transport_status || io->device_status != STATUS_GOOD)
        return -EIO;
    return 0;
}

/* Sends it once. Returns how many bytes of data were moved, or as outcome(). */
static int send(int fd, struct command *command)
{
    uint8_t sense[96] = {0}; /* SCSI_SENSE_BUFFERSIZE of include/scsi/scsi_cmnd.h */
    struct sg_io_v4 io = {
        .guard = 'Q',
        .protocol = BSG_PROTOCOL_SCSI,
        .subprotocol = BSG_SUB_PROTOCOL_SCSI_CMD,
        .request_len = command->cdb_bytes,
        .request = (uintptr_t)command->cdb,
        .max_response_len = sizeof sense,
        .response = (uintptr_t)sense,
        .timeout = command->timeout_ms,
        .flags = BSG_FLAG_Q_AT_TAIL,
    };
    if (command->sends) {
        io.dout_xferp = (uintptr_t)command->data;
        io.dout_xfer_len = (uint32_t)command->n;
    } else {
        io.din_xferp = (uintptr_t)command->data;
        io.din_xfer_len = (uint32_t)command->n;
    }
    long error = KERNEL(SYS_ioctl, fd, SG_IO, &io);
    if (error < 0)
        return (int)error;
    int failed = outcome(&io, sense, command);
    int32_t rest = command->sends ? io.dout_resid : io.din_resid;
    if (failed || rest < 0 || (size_t)rest > command->n)
        return failed ? failed : -EIO;
    return (int)(command->n - (size_t)rest);
}

/* Has the disk something to tell before it does anything, it is asked again. */
static int send_past_attentions(int fd, struct command *command)
{
    int n = -EIO;
    for (int i = 0; i < ATTENTIONS; i++) {
        n = send(fd, command);
        if (n != -EREMOTEIO || command->sense.key != SCSI_UNIT_ATTENTION)
            break;
    }
    return n;
}

/* ---- what is asked ---- */

static int ask(int fd, const uint8_t *cdb, uint8_t cdb_bytes, uint8_t *answer, size_t n)
{
    struct command command = {.cdb_bytes = cdb_bytes, .data = answer, .n = n, .timeout_ms = ASKING_MS};
    memcpy(command.cdb, cdb, cdb_bytes);
    int got = send_past_attentions(fd, &command);
    /* A command that it does not know, or no such page: it has answered. */
    bool refused = got == -EREMOTEIO && command.sense.key == SCSI_ILLEGAL_REQUEST;
    return refused ? -EOPNOTSUPP : got;
}

static enum reason ask_failed(int error)
{
    bool forbidden = error == -EPERM || error == -EACCES;
    return error == -EOPNOTSUPP ? REASON_DISK_CANNOT : forbidden ? REASON_DISK_FORBIDDEN : REASON_DISK_FAILED;
}

static enum reason ask_inquiry(int fd)
{
    static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 36};
    uint8_t answer[36];
    int n = ask(fd, inquiry, sizeof inquiry, answer, sizeof answer);
    if (n < 0)
        return ask_failed(n);
    return scsi_inquiry_copies(answer, (size_t)n) ? REASON_NONE : REASON_DISK_CANNOT;
}

static enum reason ask_limits(int fd, struct scsi_limits *limits)
{
    uint8_t answer[300]; /* 44 bytes, and at most 255 behind them */
    static const uint8_t operating_parameters[16] = {0x84, 0x03, [12] = sizeof answer >> 8, sizeof answer & 0xff};
    int n = ask(fd, operating_parameters, sizeof operating_parameters, answer, sizeof answer);
    if (n < 0)
        return ask_failed(n);
    return scsi_parse_limits(answer, (size_t)n, limits) ? REASON_NONE : REASON_DISK_FAILED;
}

static enum reason ask_capacity(int fd, struct scsi_capacity *capacity)
{
    uint8_t answer[32];
    static const uint8_t read_capacity[16] = {0x9e, 0x10, [13] = sizeof answer};
    int n = ask(fd, read_capacity, sizeof read_capacity, answer, sizeof answer);
    if (n < 0)
        return ask_failed(n);
    return scsi_parse_capacity(answer, (size_t)n, capacity) ? REASON_NONE : REASON_DISK_FAILED;
}

static enum reason ask_name(int fd, unsigned block, uint8_t name[SCSI_CSCD_BYTES])
{
    uint8_t answer[512];
    static const uint8_t identification[6] = {0x12, 1, 0x83, sizeof answer >> 8, sizeof answer & 0xff};
    int n = ask(fd, identification, sizeof identification, answer, sizeof answer);
    if (n < 0)
        return ask_failed(n);
    return scsi_find_name(answer, (size_t)n, block, name) ? REASON_NONE : REASON_DISK_CANNOT;
}

/* ---- copying ---- */

/* Lists of several commands at once must have different identifiers, if any: threads run one each. */
static uint8_t own_list_id(void)
{
    return (uint8_t)(KERNEL(SYS_gettid) % 255 + 1);
}

static int send_copy(const struct disk_pair *pair, const struct scsi_segment *segments, unsigned count,
                     struct scsi_sense *sense)
{
    uint8_t list[SCSI_LIST_HEADER + 2 * SCSI_CSCD_BYTES + SEGMENTS * SCSI_SEGMENT_BYTES];
    size_t n = scsi_build_list(list, pair->list_id, own_list_id(), pair->names, segments, count);
    struct command command = {
        .cdb = {0x83, 0, [12] = (uint8_t)(n >> 8), (uint8_t)n},
        .cdb_bytes = 16,
        .sends = true,
        .data = list,
        .n = n,
        .timeout_ms = pair->timeout_ms,
    };
    int sent = send(pair->destination, &command);
    *sense = command.sense;
    return sent < 0 ? sent : (size_t)sent == n ? 0 : -EIO;
}

/* INQUIRY or reported LUNs have changed (3Fh): what is at the descriptor's address may be another disk by now. */
static bool is_same_disk(const struct disk_pair *pair)
{
    uint8_t name[SCSI_CSCD_BYTES];
    return ask_name(pair->destination, pair->sector, name) == REASON_NONE && scsi_same_name(name, pair->names[1]);
}

static int send_copy_past_attentions(const struct disk_pair *pair, const struct scsi_segment *segments, unsigned count,
                                     struct scsi_sense *sense)
{
    int error = -EIO;
    for (int i = 0; i < ATTENTIONS; i++) {
        error = send_copy(pair, segments, count, sense);
        if (error != -EREMOTEIO || sense->key != SCSI_UNIT_ATTENTION)
            return error;
        if (!is_same_disk(pair))
            return -ESTALE;
    }
    return error;
}

/* The codes of a third party that cannot be reached, or is not what it should be (SPC-4 table D.1). */
#define NOT_REACHABLE 0x0d02
#define NO_SUCH_UNIT 0x2500

/* What the sense data of a copy mean: a negative errno. A pair that cannot is not asked again. */
static int explain(const struct disk_pair *pair, const struct scsi_sense *sense)
{
    if (sense->key == SCSI_ILLEGAL_REQUEST && sense->code != NO_SUCH_UNIT) {
        unable_remember(pair->disks[0], pair->disks[1], REASON_DISKS_APART);
        return -EOPNOTSUPP;
    }
    if (sense->key == SCSI_COPY_ABORTED)
        unable_remember(pair->disks[0], pair->disks[1], REASON_DISKS_APART);
    return sense->code == NO_SUCH_UNIT ? -ENODEV : -EIO;
}

static int copy_segments(const struct disk_pair *pair, const struct scsi_segment *segments, unsigned count)
{
    struct scsi_sense sense = {0};
    int error = send_copy_past_attentions(pair, segments, count, &sense);
    return error == -EREMOTEIO ? explain(pair, &sense) : error;
}

static int copy(const struct disk_pair *pair, const struct disk_range *ranges, unsigned count)
{
    struct scsi_segment segments[SEGMENTS];
    unsigned fit = ranges_fit(pair, ranges, count);
    if (!fit)
        return -EINVAL;
    if (!node_is(pair->destination, &pair->nodes[1]))
        return -EBADF;
    for (unsigned i = 0; i < fit; i++)
        segments[i] = (struct scsi_segment){ranges[i].from / pair->sector, ranges[i].to / pair->sector,
                                            (uint16_t)(ranges[i].n / pair->sector)};
    int error = copy_segments(pair, segments, fit);
    if (error < 0)
        answers_forget();
    return error < 0 ? error : (int)fit;
}

/* ---- can they? ---- */

/*
 * Cuts a disk's place in sysfs, "../../devices/.../2:0:1:0/block/sda", behind the address of the unit: host, channel,
 * target and unit. Returns the address in it, or NULL if that is a partition or no SCSI disk.
 */
static const char *cut_to_address(char *place)
{
    char *block = strstr(place, "/block/");
    if (!block || strchr(block + strlen("/block/"), '/'))
        return NULL;
    *block = '\0';
    const char *slash = strrchr(place, '/');
    bool address = slash && strchr(slash, ':') && strspn(slash + 1, "0123456789:") == strlen(slash + 1);
    return address ? slash + 1 : NULL;
}

/* The node's place is "../../devices/.../2:0:1:0/bsg/2:0:1:0". */
static enum reason open_node(dev_t disk, int *fd, struct node *node)
{
    char place[NODE_PATH], path[NODE_PATH] = "/dev/bsg/";
    const char *address = node_of_disk(disk, place) ? cut_to_address(place) : NULL;
    bool named = address && node_append(path, address) && node_append(place, path + strlen("/dev"));
    return named ? node_open(path, place, fd, node) : REASON_DISK_CANNOT;
}

static void close_nodes(const struct disk_pair *pair)
{
    if (pair->source >= 0 && node_is(pair->source, &pair->nodes[0]))
        KERNEL(SYS_close, pair->source);
    if (pair->destination >= 0 && pair->destination != pair->source && node_is(pair->destination, &pair->nodes[1]))
        KERNEL(SYS_close, pair->destination);
}

static enum reason open_nodes(struct disk_pair *pair)
{
    enum reason why = open_node(pair->disks[0], &pair->source, &pair->nodes[0]);
    if (why != REASON_NONE)
        return why;
    if (pair->disks[0] == pair->disks[1]) {
        pair->destination = pair->source;
        pair->nodes[1] = pair->nodes[0];
        return REASON_NONE;
    }
    return open_node(pair->disks[1], &pair->destination, &pair->nodes[1]);
}

static enum reason describe(struct disk_pair *pair, int which)
{
    int fd = which ? pair->destination : pair->source;
    struct scsi_capacity capacity = {0};
    /* First: there are disks that choke on what they do not know, and what does not copy is asked for nothing else. */
    enum reason why = ask_inquiry(fd);
    if (why == REASON_NONE)
        why = ask_capacity(fd, &capacity);
    if (why != REASON_NONE)
        return why;
    if (!capacity.block || capacity.protects || (which && capacity.block != pair->sector))
        return REASON_DISK_FORMAT;
    pair->sector = capacity.block;
    pair->sizes[which] = capacity.blocks * capacity.block;
    return ask_name(fd, capacity.block, pair->names[which]);
}

/* How many ranges fit the parameter list. */
static unsigned segments_of(const struct scsi_limits *limits)
{
    uint32_t targets = 2 * SCSI_CSCD_BYTES;
    uint32_t listed = limits->list_bytes > targets ? (limits->list_bytes - targets) / SCSI_SEGMENT_BYTES : 0;
    uint32_t segments = limits->segments < listed ? limits->segments : listed;
    return segments < SEGMENTS ? segments : SEGMENTS;
}

/* Arrays are known to be quick where a copy keeps to the bounds of what they allocate. */
#define WHOLE_PIECES ((uint64_t)1 << 20)

static uint64_t range_bytes_of(const struct disk_pair *pair, const struct scsi_limits *limits)
{
    uint64_t longest = (uint64_t)SEGMENT_BLOCKS * pair->sector;
    if (limits->segment_bytes && limits->segment_bytes < longest)
        longest = limits->segment_bytes;
    return longest - longest % (longest > WHOLE_PIECES && pair->block < WHOLE_PIECES ? WHOLE_PIECES : pair->block);
}

static enum reason limit(struct disk_pair *pair, const struct scsi_limits *limits)
{
    pair->block = limits->granule > pair->sector ? limits->granule : pair->sector;
    pair->ranges = segments_of(limits);
    pair->range_bytes = range_bytes_of(pair, limits);
    pair->command_bytes = LONGEST_COMMAND;
    pair->list_id = scsi_list_id(limits);
    pair->timeout_ms = COPYING_MS;
    bool able = limits->blocks_to_blocks && limits->by_designator && limits->granule && limits->targets >= 2 &&
                pair->ranges && pair->range_bytes;
    return able ? REASON_NONE : REASON_DISK_CANNOT;
}

/* A segment of no blocks copies nothing and is no error (SPC-4 6.4.6.4), but needs both disks. */
static enum reason try(const struct disk_pair *pair)
{
    static const struct scsi_segment nothing = {0};
    struct scsi_sense sense = {0};
    int error = send_copy_past_attentions(pair, &nothing, 1, &sense);
    if (error == -EREMOTEIO)
        return sense.key == SCSI_COPY_ABORTED || sense.key == SCSI_ILLEGAL_REQUEST ? REASON_DISKS_APART
                                                                                   : REASON_DISK_FAILED;
    return error < 0 ? ask_failed(error) : REASON_NONE;
}

/* What does not change as long as the disks are the same ones. */
static enum reason ask_abilities(struct disk_pair *pair, struct scsi_limits *limits)
{
    enum reason why = ask_limits(pair->destination, limits);
    if (why == REASON_NONE)
        why = limit(pair, limits);
    return why == REASON_NONE ? try(pair) : why;
}

static enum reason describe_both(struct disk_pair *pair)
{
    bool two = pair->disks[0] != pair->disks[1];
    enum reason why = describe(pair, 0);
    if (why == REASON_NONE)
        why = describe(pair, 1);
    if (why == REASON_NONE && two && scsi_same_name(pair->names[0], pair->names[1]))
        why = REASON_DISKS_ALIKE;
    if (why == REASON_NONE)
        answers_note(pair);
    return why;
}

/*
 * Whether they copy at all, which disks they are and how large, is asked again after a moment; what they take in a command, once.
 */
static enum reason ask_both(struct disk_pair *pair)
{
    struct scsi_limits limits;
    enum reason why = answers_known(pair) ? REASON_NONE : describe_both(pair);
    if (why != REASON_NONE)
        return why;
    if (able_knows(pair, &limits))
        return limit(pair, &limits);
    why = ask_abilities(pair, &limits);
    if (why == REASON_NONE)
        able_remember(pair, &limits);
    return why;
}

/* What is no SCSI disk at all is not remembered: it may be a disk of another kind. */
static enum reason open_pair(struct disk_pair *pair, dev_t source, dev_t destination)
{
    enum reason why = unable_why(source, destination);
    if (why != REASON_NONE)
        return why;
    *pair = (struct disk_pair){.source = -1, .destination = -1, .disks = {source, destination}};
    why = open_nodes(pair);
    if (why == REASON_NONE) {
        why = ask_both(pair);
        unable_remember(source, destination, why);
    }
    if (why != REASON_NONE)
        close_nodes(pair);
    return why;
}

static void close_pair(struct disk_pair *pair)
{
    close_nodes(pair);
    pair->source = pair->destination = -1;
}

const struct disk_engine disk_scsi = {
    .name = "scsi",
    .open = open_pair,
    .copy = copy,
    .close = close_pair,
};
