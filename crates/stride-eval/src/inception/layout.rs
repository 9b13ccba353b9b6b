//! The blocks of Inception-v3 as tables: names and shapes of its 94 convolutions.

/// A convolution: name in its block, output channels, kernel, stride. Stride 1 keeps the size unless
/// `is_valid`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConvLayout {
    pub(super) name: &'static str,
    pub(super) out: usize,
    pub(super) kernel: [usize; 2],
    pub(super) stride: usize,
    pub(super) is_valid: bool,
}

/// What stands in front of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pool {
    None,
    /// 3x3 averages of stride 1.
    Average,
    /// 3x3 averages of stride 1; maxima in the FID variant.
    AverageOrMax,
    /// 3x3 maxima of stride 2.
    Halve,
}

/// A branch of a block: a pool, convolutions in turn, and two more side by side at the end or none.
pub(super) struct BranchLayout {
    pub(super) pool: Pool,
    pub(super) convs: Vec<ConvLayout>,
    pub(super) split: Vec<ConvLayout>,
}

/// A block: name and branches, whose outputs are joined.
pub(super) struct BlockLayout {
    pub(super) name: &'static str,
    pub(super) branches: Vec<BranchLayout>,
}

/// Every convolution with its full name and input channels, in the order in which torchvision and Keras make them.
pub(super) fn convs() -> Vec<(String, ConvLayout, usize)> {
    let mut all = Vec::new();
    let mut channels = 3;
    for (conv, _) in stem() {
        all.push((conv.name.to_owned(), conv, channels));
        channels = conv.out;
    }
    for block in blocks() {
        let mut joined = 0;
        for branch in &block.branches {
            let mut width = channels;
            for &conv in &branch.convs {
                all.push((format!("{}.{}", block.name, conv.name), conv, width));
                width = conv.out;
            }
            for &conv in &branch.split {
                all.push((format!("{}.{}", block.name, conv.name), conv, width));
            }
            joined += match branch.split.as_slice() {
                [] => width,
                ends => ends.iter().map(|conv| conv.out).sum(),
            };
        }
        channels = joined;
    }
    all
}

/// The stem: convolutions, and whether 3x3 maxima of stride 2 follow.
pub(super) fn stem() -> [(ConvLayout, bool); 5] {
    [
        (halving("Conv2d_1a_3x3", 32), false),
        (ConvLayout { is_valid: true, ..square("Conv2d_2a_3x3", 32, 3) }, false),
        (square("Conv2d_2b_3x3", 64, 3), true),
        (square("Conv2d_3b_1x1", 80, 1), false),
        (ConvLayout { is_valid: true, ..square("Conv2d_4a_3x3", 192, 3) }, true),
    ]
}

/// The blocks, from 192 channels of 35x35 to 2048 of 8x8.
pub(super) fn blocks() -> Vec<BlockLayout> {
    vec![
        block_a("Mixed_5b", 32),
        block_a("Mixed_5c", 64),
        block_a("Mixed_5d", 64),
        block_b(),
        block_c("Mixed_6b", 128),
        block_c("Mixed_6c", 160),
        block_c("Mixed_6d", 160),
        block_c("Mixed_6e", 192),
        block_d(),
        block_e("Mixed_7b", Pool::Average),
        block_e("Mixed_7c", Pool::AverageOrMax),
    ]
}

fn block_a(name: &'static str, pool_features: usize) -> BlockLayout {
    let branches = vec![
        branch(vec![square("branch1x1", 64, 1)]),
        branch(vec![square("branch5x5_1", 48, 1), square("branch5x5_2", 64, 5)]),
        branch(vec![
            square("branch3x3dbl_1", 64, 1),
            square("branch3x3dbl_2", 96, 3),
            square("branch3x3dbl_3", 96, 3),
        ]),
        pooled(Pool::Average, pool_features),
    ];
    BlockLayout { name, branches }
}

fn block_b() -> BlockLayout {
    let branches = vec![
        branch(vec![halving("branch3x3", 384)]),
        branch(vec![
            square("branch3x3dbl_1", 64, 1),
            square("branch3x3dbl_2", 96, 3),
            halving("branch3x3dbl_3", 96),
        ]),
        BranchLayout { pool: Pool::Halve, ..branch(Vec::new()) },
    ];
    BlockLayout { name: "Mixed_6a", branches }
}

fn block_c(name: &'static str, inner: usize) -> BlockLayout {
    let branches = vec![
        branch(vec![square("branch1x1", 192, 1)]),
        branch(vec![
            square("branch7x7_1", inner, 1),
            conv("branch7x7_2", inner, [1, 7]),
            conv("branch7x7_3", 192, [7, 1]),
        ]),
        branch(vec![
            square("branch7x7dbl_1", inner, 1),
            conv("branch7x7dbl_2", inner, [7, 1]),
            conv("branch7x7dbl_3", inner, [1, 7]),
            conv("branch7x7dbl_4", inner, [7, 1]),
            conv("branch7x7dbl_5", 192, [1, 7]),
        ]),
        pooled(Pool::Average, 192),
    ];
    BlockLayout { name, branches }
}

fn block_d() -> BlockLayout {
    let branches = vec![
        branch(vec![square("branch3x3_1", 192, 1), halving("branch3x3_2", 320)]),
        branch(vec![
            square("branch7x7x3_1", 192, 1),
            conv("branch7x7x3_2", 192, [1, 7]),
            conv("branch7x7x3_3", 192, [7, 1]),
            halving("branch7x7x3_4", 192),
        ]),
        BranchLayout { pool: Pool::Halve, ..branch(Vec::new()) },
    ];
    BlockLayout { name: "Mixed_7a", branches }
}

fn block_e(name: &'static str, pool: Pool) -> BlockLayout {
    let branches = vec![
        branch(vec![square("branch1x1", 320, 1)]),
        BranchLayout {
            split: vec![conv("branch3x3_2a", 384, [1, 3]), conv("branch3x3_2b", 384, [3, 1])],
            ..branch(vec![square("branch3x3_1", 384, 1)])
        },
        BranchLayout {
            split: vec![conv("branch3x3dbl_3a", 384, [1, 3]), conv("branch3x3dbl_3b", 384, [3, 1])],
            ..branch(vec![square("branch3x3dbl_1", 448, 1), square("branch3x3dbl_2", 384, 3)])
        },
        pooled(pool, 192),
    ];
    BlockLayout { name, branches }
}

fn branch(convs: Vec<ConvLayout>) -> BranchLayout {
    BranchLayout { pool: Pool::None, convs, split: Vec::new() }
}

fn pooled(pool: Pool, out: usize) -> BranchLayout {
    BranchLayout { pool, ..branch(vec![square("branch_pool", out, 1)]) }
}

fn conv(name: &'static str, out: usize, kernel: [usize; 2]) -> ConvLayout {
    ConvLayout { name, out, kernel, stride: 1, is_valid: false }
}

fn square(name: &'static str, out: usize, kernel: usize) -> ConvLayout {
    conv(name, out, [kernel; 2])
}

/// A 3x3 convolution of stride 2 without padding.
fn halving(name: &'static str, out: usize) -> ConvLayout {
    ConvLayout { stride: 2, is_valid: true, ..square(name, out, 3) }
}
