#!/usr/bin/env bash
# Meta-trains the presets that ship in lrlearn/optimizers/presets, all of them or those
# named, several times each: tools/make_presets.sh [name...]. Started again, it goes on
# where it stopped. MNIST comes from $TFDS_DATA_DIR, or is downloaded.
# Then: python -m tools.choose_presets. lo_l2 and lo_held_out are controls of the study,
# which do not ship.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${RUNS:-runs/presets}
python=${PYTHON:-python}
meta_seeds=${META_SEEDS:-0 1 2 3 4}

mlp="--rule=scheduled_mlp --tasks=small_images"
lstm="--rule=scheduled_lstm --units=10 --tasks=small_images"
dial="--dial=0.01,0.2"
sam="$dial --regularizer=sam --regularizer_args=rho=1,relative=true"
gsam="$dial --regularizer=gsam --regularizer_args=rho=1,relative=true"
gam="$dial --regularizer=gam
  --regularizer_args=rho=0.3,rho_perturb=0.3,relative=true"
# The paper's rule, inputs and three tasks, for reproduction.
paper="--tasks=mnist/mlp,mnist/mlp_relu,mnist/mlp_tanh --train_size=1000
  --label_noise=0.2 --batch_size=64 --coordinates=2000 --units=20,20 --steps=300
  --validation_every=75 --features=log --rule_output=scaled"
released="--regularizer=gam
  --regularizer_args=rho=0.1,rho_perturb=0.1,variant=released"

meta_train() {
  local name=$1 description=$2
  shift 2
  for seed in $meta_seeds; do
    $python -m binaries.meta_train "$@" --seed="$seed" --output="$runs/$name-$seed" \
      --description="$description"
  done
}

for name in ${@:-lo_none lo_sam lo_gsam lo_gam lo_lstm_none lo_lstm_sam \
  lstm_paper_none lstm_paper_gam}; do
  case $name in
    lo_none) meta_train $name "MLP rule with a schedule, no teacher" $mlp ;;
    lo_sam) meta_train $name "MLP rule with a schedule and a dial, taught by SAM" \
      $mlp $sam ;;
    lo_gsam) meta_train $name "MLP rule with a schedule and a dial, taught by GSAM" \
      $mlp $gsam ;;
    lo_gam) meta_train $name "MLP rule with a schedule and a dial, taught by GAM" \
      $mlp $gam ;;
    lo_l2) meta_train $name "MLP rule with a schedule and a dial, taught by L2" \
      $mlp $dial --regularizer=l2 --regularizer_args=weight=0.15 ;;
    lo_held_out) meta_train $name \
      "MLP rule with a schedule, meta-trained on held-out data" \
      $mlp --meta_split=validation ;;
    lo_lstm_none) meta_train $name "LSTM rule with a schedule, no teacher" $lstm ;;
    lo_lstm_sam) meta_train $name \
      "LSTM rule with a schedule and a dial, taught by SAM" $lstm $sam ;;
    lstm_paper_none) meta_seeds=0 meta_train $name \
      "For reproduction: the paper's LSTM rule, no teacher" $paper ;;
    lstm_paper_gam) meta_seeds=0 meta_train $name \
      "For reproduction: the paper's LSTM rule, taught by GAM" $paper $released ;;
    *) echo "error: unknown preset $name" >&2; exit 2 ;;
  esac
done
