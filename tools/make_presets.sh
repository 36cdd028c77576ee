#!/usr/bin/env bash
# Meta-trains the presets that ship in lrlearn/optimizers/presets, all of them or those
# named: tools/make_presets.sh [name...]. Started again, it goes on where it stopped.
# MNIST comes from $TFDS_DATA_DIR, or is downloaded. The cards then hold no results:
# measure them (paper.checks.preset_accuracy) and run tools.make_cards.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${RUNS:-runs/presets}
python=${PYTHON:-python}

common="--tasks=mnist/mlp,mnist/mlp_relu,mnist/mlp_tanh --train_size=1000
  --label_noise=0.2 --batch_size=64 --coordinates=2000"
recipe="$common --steps=200 --validation_every=50 --validation_steps=1000"
lstm="--units=10,10 $recipe"
paper="$common --units=20,20 --steps=300 --validation_every=75 --features=log --rule_output=scaled"
mlp="$common --rule=mlp --learning_rate=2e-3 --steps=200 --validation_every=25
  --validation_steps=1000"
sam="--regularizer=sam --regularizer_args=rho=0.3"
gsam="--regularizer=gsam --regularizer_args=rho=0.3"
gam="--regularizer=gam
  --regularizer_args=rho=0.1,rho_perturb=0.1,variant=released"
scheduled="--rule=scheduled_mlp --tasks=small_images"
dial="--dial=0.01,0.15"

meta_train() {
  local name=$1 description=$2
  shift 2
  $python -m binaries.meta_train "$@" --output="$runs/$name" \
    --description="$description"
}

names=${@:-lo_none lo_sam lo_gsam lo_gam lstm_none lstm_sam lstm_gsam lstm_gam lstm_paper_none lstm_paper_gam
  mlp_none mlp_sam mlp_gsam mlp_gam}
for name in $names; do
  case $name in
    lo_none) meta_train $name "Scheduled rule meta-trained without regularizer" \
      $scheduled ;;
    lo_sam) meta_train $name "Scheduled rule meta-trained with SAM, with a dial" \
      $scheduled $dial --regularizer=sam --regularizer_args=rho=1,relative=true ;;
    lo_gsam) meta_train $name "Scheduled rule meta-trained with GSAM, with a dial" \
      $scheduled $dial --regularizer=gsam --regularizer_args=rho=1,relative=true ;;
    lo_gam) meta_train $name "Scheduled rule meta-trained with GAM, with a dial" \
      $scheduled $dial --regularizer=gam \
      --regularizer_args=rho=1,rho_perturb=1,relative=true ;;
    lstm_none) meta_train $name "LSTM rule meta-trained without regularizer" \
      $lstm ;;
    lstm_sam) meta_train $name "LSTM rule meta-trained with SAM" \
      $lstm $sam ;;
    lstm_gsam) meta_train $name "LSTM rule meta-trained with GSAM" \
      $lstm $gsam ;;
    lstm_gam) meta_train $name "LSTM rule meta-trained with GAM" $lstm $gam ;;
    lstm_paper_none) meta_train $name \
      "LSTM rule with the paper's inputs, meta-trained without regularizer" $paper ;;
    lstm_paper_gam) meta_train $name \
      "LSTM rule with the paper's inputs, meta-trained with GAM" $paper $gam ;;
    mlp_none) meta_train $name "MLP rule meta-trained without regularizer" $mlp ;;
    mlp_sam) meta_train $name "MLP rule meta-trained with SAM" $mlp $sam ;;
    mlp_gsam) meta_train $name "MLP rule meta-trained with GSAM" $mlp $gsam ;;
    mlp_gam) meta_train $name "MLP rule meta-trained with GAM" $mlp $gam ;;
    *) echo "error: unknown preset $name" >&2; exit 2 ;;
  esac
done
# Last, so that every preset names a commit without changes.
for name in $names; do
  rm -rf "lrlearn/optimizers/presets/$name"
  cp -r "$runs/$name/preset" "lrlearn/optimizers/presets/$name"
done
